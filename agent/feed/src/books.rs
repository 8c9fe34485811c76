//! The observer's own accounting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The observer's own accounting, cumulative since it attached, counted in the kernel.
///
/// `seen = recorded + lost + open` at every moment; once traffic has ended, `open` is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Requests whose request line passed a socket, on both legs.
    pub seen: u64,
    /// Requests that became a record.
    pub recorded: u64,
    /// Requests that did not, by the stage at which they were lost.
    pub lost: BTreeMap<String, u64>,
    /// Requests now waiting for the end of their answer.
    pub open: u64,
    /// Places where the observer lost a connection's thread and had to find it again.
    #[serde(default)]
    pub resyncs: u64,
    /// Connections by kind: `http1`, `tls`, `http2`, `opaque`. All but the first are blind spots.
    #[serde(default)]
    pub connections: BTreeMap<String, u64>,
}

impl Books {
    /// All requests lost, at whatever stage. Numbers from outside may be anything: the sum stops at the highest.
    pub fn lost_total(&self) -> u64 {
        self.lost.values().fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// Whether every request seen is accounted for.
    pub fn balanced(&self) -> bool {
        self.seen == self.recorded.saturating_add(self.lost_total()).saturating_add(self.open)
    }
}
