//! What one agent has told in the last 15 minutes, reduced so that it fits into a few megabytes.
//!
//! The last minute is kept by the second, the last quarter of an hour by ten seconds; see [`History`].

mod cell;
mod delta;
mod sparse;
mod tier;

pub use cell::{Cell, LegCell, RouteKey, ServiceCell};
pub use delta::{Known, Step};
pub use sparse::Sparse;
pub use tier::{History, Resolution};
