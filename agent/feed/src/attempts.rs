//! Attempts at the origin, counted for each request by itself.

use serde::{Deserialize, Serialize};

/// How many requests of one service took how many attempts at its origins, cumulative since the agent started.
///
/// Counted only where both sides carry the same `X-Request-Id` or `traceparent`: then it is exact, unlike the ratio of
/// the legs' totals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// The service that was asked, and that tried.
    pub service: String,
    /// Requests by their attempts: 0 (answered without an origin) to 5, and then those with more.
    pub requests: [u64; Attempts::BUCKETS],
    /// Attempts of all of them.
    pub attempts: u64,
}

impl Attempts {
    /// Numbers of attempts that are told apart: 0 to 5, and more.
    pub const BUCKETS: usize = 7;

    /// Requests, whatever they took. Numbers from outside may be anything: the sum stops at the highest.
    pub fn total(&self) -> u64 {
        self.requests.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }
}
