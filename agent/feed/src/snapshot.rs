//! One line of the feed: everything that the agent knows at one moment.

use serde::{Deserialize, Serialize};

use crate::{Attempts, Books, ProxyFacts, Request, Series};

/// Everything that the agent knows at one moment.
///
/// Totals are cumulative since the agent started; [`Series::latency`] and [`Snapshot::requests`] cover only
/// the interval since the previous snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`crate::VERSION`] of the writer.
    pub version: u32,
    /// Which agent on which host this is.
    pub agent: AgentInfo,
    /// One more than in the snapshot before it; a gap means that this reader was too slow.
    pub seq: u64,
    /// Wall-clock time at the end of the interval, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// Length of the interval in milliseconds.
    pub interval_ms: u64,
    /// One entry for each series seen since the agent started, quiet ones included.
    pub series: Vec<Series>,
    /// The observer's own accounting.
    pub books: Books,
    /// Newest requests of the interval, oldest first; a sample when fewer than `requests_of`.
    #[serde(default)]
    pub requests: Vec<Request>,
    /// How many requests ended in the interval, of which `requests` shows some.
    #[serde(default)]
    pub requests_of: u64,
    /// Attempts at the origins by request, of every service that both is asked and asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempts>,
    /// Services with the units that they run in, where those are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceInfo>,
    /// What hosp-proxy says of itself; absent when the agent reaches no proxy's admin socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyFacts>,
    /// What observing costs.
    pub cost: Cost,
}

/// Which agent on which host wrote a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The host's name as the kernel tells it.
    pub host: String,
    /// Version of hosp-agent.
    pub version: String,
    /// Process id; together with `started_unix_ms` it tells a restart from a reconnect.
    pub pid: u32,
    /// When this agent began to observe, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_unix_ms: u64,
}

/// Where a service runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// The service.
    pub service: String,
    /// Systemd units, containers (`container:` and the first digits of the id) and other cgroups (their path) that its
    /// sockets belong to, sorted; at most 16.
    pub units: Vec<String>,
}

/// What observing costs, cumulative since the agent started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// User plus system CPU time of the agent's process, in seconds.
    pub agent_cpu_seconds: f64,
    /// Resident memory of the agent's process, in bytes.
    pub agent_rss_bytes: u64,
    /// Run counts and times of the BPF programs; empty unless the agent runs with `--bpf-stats`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramCost>,
}

/// What one BPF program cost since it was loaded, by the kernel's own statistics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgramCost {
    /// Name of the program.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// How long it ran in total, in seconds.
    pub seconds: f64,
}
