//! The shapes of `[health]`, `[breaker]`, `[concurrency]` and `[dns]`, with their defaults.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use serde::Deserialize;

use super::units::{Period, PositivePeriod};
use crate::breaker::BreakerConfig;
use crate::dns::DnsConfig;
use crate::health::{CheckConfig, EjectionConfig, HealthConfig};
use crate::limit::LimitConfig;

/// `[health]`: which endpoints are left out while there are others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Failures in a row that eject an endpoint; 0 ejects none.
    pub failures: Option<u32>,
    /// For how long the first time.
    pub eject: Option<PositivePeriod>,
    /// For how long at most.
    pub eject_max: Option<PositivePeriod>,
    /// For how long an endpoint that comes in gets less than its share.
    pub slow_start: Option<Period>,
    /// `[health.check]`: active checks.
    pub check: Option<Check>,
}

/// `[health.check]`: active checks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is asked for; a 2xx passes.
    pub path: CheckPath,
    /// From one check to the next.
    pub interval: Option<PositivePeriod>,
    /// How long one may take.
    pub timeout: Option<PositivePeriod>,
    /// Successes in a row that bring an endpoint in again.
    pub rise: Option<u32>,
    /// Failures in a row that leave it out.
    pub fall: Option<u32>,
}

/// A path to check.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CheckPath(pub PathAndQuery);

/// Why a text is no path to check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: write for example /healthz")]
pub struct CheckPathError(String);

impl TryFrom<String> for CheckPath {
    type Error = CheckPathError;

    fn try_from(text: String) -> Result<Self, CheckPathError> {
        match text.parse() {
            Ok(path) if text.starts_with('/') => Ok(Self(path)),
            _ => Err(CheckPathError(text)),
        }
    }
}

/// `[breaker]`: when the origins are not asked at all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row over all endpoints that open it; 0 never does.
    pub failures: Option<u32>,
    /// Connections in a row that could not be made; 0 never opens it.
    pub refusals: Option<u32>,
    /// From one attempt to find out whether an origin is back to the next.
    pub probe_interval: Option<PositivePeriod>,
    /// How long requests wait for an origin that takes no connections.
    pub hold: Option<Period>,
}

/// `[concurrency]`: how much may be under way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// Least limit per endpoint, however crowded it seems.
    pub min: Option<u32>,
    /// Most per endpoint.
    pub max: Option<u32>,
    /// Most requests that wait.
    pub queue: Option<usize>,
    /// Longest wait for room.
    pub wait: Option<Period>,
}

/// `[dns]`: how names are looked up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Servers to ask instead of the system's.
    pub servers: Vec<SocketAddr>,
    /// Least time from one look-up to the next.
    pub min_ttl: Option<PositivePeriod>,
    /// Most time.
    pub max_ttl: Option<PositivePeriod>,
}

fn or(given: Option<PositivePeriod>, seconds: u64) -> Duration {
    given.map_or(Duration::from_secs(seconds), |period| period.0)
}

impl From<Health> for HealthConfig {
    fn from(file: Health) -> Self {
        Self {
            ejection: EjectionConfig {
                failures: file.failures.unwrap_or(5),
                base: or(file.eject, 30),
                max: or(file.eject_max, 300),
            },
            slow_start: file.slow_start.map_or(Duration::from_secs(30), |period| period.0),
            check: file.check.map(|check| CheckConfig {
                path: check.path.0,
                interval: or(check.interval, 5),
                timeout: or(check.timeout, 2),
                rise: check.rise.unwrap_or(2).max(1),
                fall: check.fall.unwrap_or(3).max(1),
            }),
        }
    }
}

impl From<Breaker> for BreakerConfig {
    fn from(file: Breaker) -> Self {
        Self {
            failures: file.failures.unwrap_or(20),
            refusals: file.refusals.unwrap_or(5),
            probe_interval: file.probe_interval.map_or(Duration::from_millis(250), |period| period.0),
            hold: file.hold.map_or(Duration::from_secs(10), |period| period.0),
        }
    }
}

impl From<Concurrency> for LimitConfig {
    fn from(file: Concurrency) -> Self {
        let min = file.min.unwrap_or(16).max(1);
        Self {
            min,
            max: file.max.unwrap_or(16_384).max(min),
            queue: file.queue.unwrap_or(1024),
            wait: file.wait.map_or(Duration::from_secs(2), |period| period.0),
        }
    }
}

impl From<Dns> for DnsConfig {
    fn from(file: Dns) -> Self {
        Self { servers: file.servers, min_ttl: or(file.min_ttl, 1), max_ttl: or(file.max_ttl, 60) }
    }
}
