//! What the kernel's half and userspace share: records, counters, and the HTTP/1 state machine.
//!
//! `no_std`, no allocation, no I/O: the same source runs inside the kernel (see `main.rs`) and natively, where it is tested.

#![no_std]

#[cfg(test)]
extern crate std;

mod counters;
mod record;

pub use counters::{COUNTERS, Counter, LEG_STRIDE};
pub use record::{BadRecord, COMM_LEN, Leg, Method, Outcome, PATH_MAX, Record, flags};
