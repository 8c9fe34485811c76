//! What hosp-proxy says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What hosp-proxy says of itself, cumulative since it started, read from its admin socket (`/v1/facts`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyFacts {
    /// Requests answered, by whatever status.
    pub requests: u64,
    /// Tries sent to an origin, first ones and hedges included.
    pub attempts: u64,
    /// Retries made, by reason.
    #[serde(default)]
    pub retries: BTreeMap<String, u64>,
    /// Retries wanted but not made, by reason.
    #[serde(default)]
    pub retries_denied: BTreeMap<String, u64>,
    /// Cache look-ups, by result.
    #[serde(default)]
    pub cache: BTreeMap<String, u64>,
    /// Origins and their health.
    #[serde(default)]
    pub origins: Vec<OriginState>,
}

/// One origin, as the proxy sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginState {
    /// `scheme://host:port`.
    pub origin: String,
    /// Requests under way.
    pub in_flight: u64,
    /// Attempts by outcome.
    #[serde(default)]
    pub attempts: BTreeMap<String, u64>,
}
