//! What the proxy is told to do: the configuration as the rest of the program sees it.
//!
//! [`file`] is the shape of the TOML file, [`routes`] of its routes, [`endpoints`] of what concerns them, [`units`]
//! its durations and sizes; [`load`] reads it, [`resolve`] lays the command
//! line's flags over the file's values over the profile's defaults.

pub mod endpoints;
pub mod file;
pub mod load;
pub mod resolve;
pub mod routes;
pub mod units;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::breaker::BreakerConfig;
use crate::budget::BudgetConfig;
use crate::dns::DnsConfig;
use crate::health::HealthConfig;
use crate::limit::LimitConfig;
use crate::origin::Origin;
use crate::retry::Backoff;
use crate::route::Routes;

/// Everything that the proxy is told, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses to accept clients on; at least one.
    pub listen: Vec<SocketAddr>,
    /// Origins to pass requests to; at least one.
    pub origins: Vec<Origin>,
    /// Tiers of origins that are asked only while no endpoint before them is in good health.
    pub fallbacks: Vec<Vec<Origin>>,
    /// Which endpoints are left out while there are others.
    pub health: HealthConfig,
    /// When the origins are not asked at all.
    pub breaker: BreakerConfig,
    /// How much may be under way.
    pub concurrency: LimitConfig,
    /// How names of origins are looked up.
    pub dns: DnsConfig,
    /// Where the admin interface listens.
    pub admin: AdminAddr,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Time from a request's last byte to the answer's head, all tries together.
    pub deadline: Duration,
    /// How failed tries are repeated.
    pub retry: RetryConfig,
    /// What differs by method and path; what does not is in here, too, for whoever resolves a request's policy.
    pub routes: Routes,
    /// What is kept of the origins' answers.
    pub cache: CacheConfig,
    /// Connections to the origins.
    pub pool: PoolConfig,
    /// Bounds on what clients and origins may take.
    pub limits: LimitsConfig,
    /// What origins are told of the client.
    pub forwarded: ForwardedConfig,
    /// What is logged.
    pub log: LogConfig,
    /// How long running requests may take once the proxy is asked to stop.
    pub drain: Duration,
}

/// How failed tries are repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryConfig {
    /// Tries in all, the first included; 1 means no retries.
    pub tries: u32,
    /// Pause before each further try.
    pub backoff: Backoff,
    /// Longest time for one try to bring the answer's head; `None` leaves only the deadline.
    pub try_timeout: Option<Duration>,
    /// Most of a request's body that is held for a further try, in bytes.
    pub replay: usize,
    /// Share of extra load that retries may cause.
    pub budget: BudgetConfig,
}

/// What is kept of the origins' answers.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheConfig {
    /// Most memory for stored answers, in bytes; 0 turns the cache off.
    pub size: u64,
    /// Largest answer that is stored, in bytes.
    pub entry: u64,
    /// Lifetime of a 200 that may be stored but carries no lifetime of its own; zero stores none of those.
    pub default_ttl: Duration,
}

/// Connections to the origins.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Idle connections kept per origin and worker.
    pub idle: usize,
    /// Longest time for name look-up and TCP handshake.
    pub connect_timeout: Duration,
}

/// Bounds on what clients and origins may take.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsConfig {
    /// Longest wait for a client's next request head to be complete, idle time included.
    pub client_idle: Duration,
    /// Largest head, in bytes, of requests and of answers.
    pub head: usize,
    /// Longest pause within an answer's body before it counts as cut.
    pub body_idle: Duration,
}

/// What origins are told of the client.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardedConfig {
    /// Whether what the client says in `X-Forwarded-Proto` and `X-Forwarded-Host` is passed on: right
    /// only behind another proxy that sets them.
    pub trust: bool,
    /// Which `Host` the origin gets.
    pub host: HostPolicy,
}

/// Which `Host` the origin gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostPolicy {
    /// The client's.
    #[default]
    Preserve,
    /// That of the origin's URL.
    Origin,
}

/// What is logged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogConfig {
    /// Form of the program's own messages on standard error.
    pub format: LogFormat,
    /// Whether each request becomes a line of JSON on standard output.
    pub access: bool,
    /// Whether answers tell in `Server-Timing` how long the origins took, and in how many tries.
    pub server_timing: bool,
}

/// Form of the program's own messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A named set of defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Full-jitter back-off; only answers that carry a lifetime are cached.
    #[default]
    Standard,
    /// What the first attempt at this did: 5 tries, 3 s apart, and 120 s of cache for 200s without a lifetime.
    Classic,
}

/// Where the admin interface listens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AdminAddr {
    /// A Unix socket, mode 0660.
    Unix(PathBuf),
    /// A TCP address.
    Tcp(SocketAddr),
}

impl Default for AdminAddr {
    fn default() -> Self {
        Self::Unix(PathBuf::from("/run/hosp/proxy.sock"))
    }
}

/// Why a text is no admin address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither unix:PATH nor ADDRESS:PORT")]
pub struct AdminAddrError(String);

impl FromStr for AdminAddr {
    type Err = AdminAddrError;

    fn from_str(text: &str) -> Result<Self, AdminAddrError> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
            _ => text.parse().map(Self::Tcp).map_err(|_| AdminAddrError(text.to_owned())),
        }
    }
}

impl fmt::Display for AdminAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl TryFrom<String> for AdminAddr {
    type Error = AdminAddrError;

    fn try_from(text: String) -> Result<Self, AdminAddrError> {
        text.parse()
    }
}
