//! The proxy between real sockets: every test starts its own proxy and its own origin on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails ends the test that called it, which is what is wanted"
)]

mod cache;
mod drain;
mod endpoints;
mod handover;
mod hedge;
mod limits;
mod metrics;
mod nginx;
mod process;
mod reload;
mod retry;
mod routes;
mod support;
mod wire;
