//! The agents' feeds: connecting, reading, and coming back after a break.

mod backoff;
mod client;
mod error;
mod lines;
mod link;

pub use backoff::Backoff;
pub use client::{Feed, Stream, snapshot};
pub use error::FeedError;
pub use lines::Lines;
pub use link::follow;
