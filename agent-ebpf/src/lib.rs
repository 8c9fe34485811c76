//! What the kernel's half and userspace share: records, counters, and the HTTP/1 state machine.
//!
//! `no_std`, no allocation, no I/O: the same source runs inside the kernel (see `bpf/main.rs`) and natively, where it is tested.

#![no_std]
// BPF assembly is not stable yet; only the build for the kernel uses it.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(test)]
extern crate std;

pub mod conn;
mod counters;
pub mod machine;
mod record;
pub mod shared;
pub mod stash;
pub mod window;

pub use counters::{COUNTERS, Counter, LEG_STRIDE};
pub use record::{
    BadRecord, COMM_LEN, LONG, Leg, Method, Outcome, PATH_MAX, PATH_SHORT, Record, RecordHead, SHORT, flags,
};
