//! The whole agent on this host's kernel: real servers and clients, and an independent count to compare with.
//!
//! Needs root and the packages of `cargo xtask setup test`. Elsewhere each test says why it skips; where nothing
//! may be skipped (`CI=true`, or `HOSP_TEST_REQUIRE=1`, which `cargo xtask test` sets as root) that is a failure.

#![expect(clippy::unwrap_used, reason = "test code")]

mod addresses;
mod attempts;
mod cgroup;
mod dialogue;
mod endings;
mod framing;
mod home;
mod load;
mod loss;
mod mid_stream;
mod network;
mod nginx;
mod overflow;
mod rig;
mod servers;
mod truth;
