//! What the tests play with: an origin that does as told, a proxy, a client that shows every byte.

mod client;
mod dns;
mod load;
mod origin;
mod program;
mod proxy;

use std::time::{Duration, Instant};

pub(crate) use client::{Answer, Client, exchange, get, raw};
pub(crate) use dns::NameServer;
pub(crate) use load::Load;
pub(crate) use origin::{Origin, Reply, ok};
pub(crate) use program::{PROGRAM, Running, is_alive, program, program_at};
pub(crate) use proxy::{Proxy, Settings};

/// How long anything may take before a test gives up on it: generous, since nothing waits for it but failures.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until the answer is yes; fails the test when it never is.
pub(crate) fn eventually(what: &str, mut question: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !question() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
