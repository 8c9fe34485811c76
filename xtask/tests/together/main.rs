//! All of hosp at once, against real traffic, as its users have it: scraped by a real Prometheus, watched in a real
//! terminal, and with each part killed while the others go on.
//!
//! Needs root and the packages of `cargo xtask setup test`. Elsewhere each test says why it skips; where nothing
//! may be skipped (`CI=true`, or `HOSP_TEST_REQUIRE=1`, which `cargo xtask test` sets as root) that is a failure.

#![expect(clippy::unwrap_used, reason = "test code")]

mod metered;
mod restarts;
mod rig;
mod scraped;
mod screen;
#[expect(dead_code, reason = "the rest is for hosp-tui's own tests")]
#[path = "../../../tui/tests/support/tmux.rs"]
mod tmux;
mod watched;
