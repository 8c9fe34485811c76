//! hosp-tui: the live terminal dashboard of hosp-agent.
//!
//! Data flows one way:
//!
//! ```text
//!  agents ── feed ──► Reading ─┐                        ┌─► view  (state in, cells of the terminal out)
//!  keys, size, signals, ticks ─┴► Event ► update(State) ─┤
//!                                                        └─► Effect ► runtime (draw, suspend, reconnect, quit)
//! ```
//!
//! - [`reading`] checks and cleans what came from outside, once; nothing behind it sees a raw string.
//! - [`history`] and [`state`] hold what is known; they know nothing of ratatui, crossterm or tokio.
//! - [`update`] is the only place that changes a [`state::State`]; time is part of the event.
//! - [`view`] draws a state and changes nothing.
//! - [`runtime`] and [`terminal`] are the only ones that touch the terminal, [`feed`] the only one that touches
//!   the network.
//! - [`once`] is the other way through the same readings: one report for scripts, and no terminal at all.

#![forbid(unsafe_code)]

pub mod address;
pub mod clean;
pub mod cli;
pub mod event;
pub mod exit;
pub mod feed;
pub mod history;
pub mod legs;
pub mod once;
pub mod output;
pub mod reading;
pub mod runtime;
pub mod state;
pub mod terminal;
pub mod update;
pub mod view;

#[cfg(test)]
#[path = "../tests/support/traffic.rs"]
mod traffic;
