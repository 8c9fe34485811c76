//! What each party says that it counted.

use std::time::Duration;

use anyhow::Context as _;
use hosp_feed::{Leg, ProxyFacts, Snapshot};
use xtask::counts::Counts;
use xtask::load::LoadReport;
use xtask::origin::OriginReport;
use xtask::prom::Scrape;
use xtask::stack::{PROXY, Scope, Stack};
use xtask::usage::Usage;

use super::watch::{Seen, Watch};

/// Outcomes of attempts for which not one byte reached the origin: no connection, or a pooled one that had been
/// closed while idle.
const UNSENT: [&str; 2] = ["connect", "idle_race"];

/// What everybody says.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) scope: Scope,
    pub(super) load: LoadReport,
    /// hosp-proxy's own count, from its `/metrics`.
    pub(super) proxy_requests: Counts,
    pub(super) proxy: ProxyFacts,
    pub(super) proxy_usage: Usage,
    pub(super) agent: Snapshot,
    /// hosp-agent's `/metrics`.
    pub(super) agent_metrics: Scrape,
    /// What the live feed said from snapshot to snapshot.
    pub(super) feed: Seen,
    pub(super) origin: OriginReport,
}

impl Evidence {
    /// Asks everybody.
    pub(super) fn gather(stack: &Stack, watch: &Watch, load: &LoadReport) -> anyhow::Result<Self> {
        let proxy_metrics = Scrape::parse(&stack.proxy_admin().get_text("/metrics")?).context(PROXY)?;
        Ok(Self {
            scope: stack.scope(),
            load: load.clone(),
            proxy_requests: counts(&proxy_metrics, "hosp_proxy_requests_total", &[]),
            proxy: stack.proxy_admin().get_json("/v1/facts")?,
            proxy_usage: stack.proxy_pid().map(Usage::of_group).transpose()?.unwrap_or_default(),
            agent: stack.feed().get_json("/v1/snapshot")?,
            agent_metrics: Scrape::parse(&stack.agent_metrics().get_text("/metrics")?)
                .context("hosp-agent")?,
            feed: watch.seen(),
            origin: stack.origin_admin().get_json("/__counts")?,
        })
    }

    /// What the agent saw of `service` on `leg`, by its feed.
    pub(super) fn seen(&self, leg: Leg, service: &str) -> Counts {
        let mut counts = Counts::default();
        for series in self.agent.series.iter().filter(|series| self.scope.covers(series, leg, service)) {
            counts.add(&series.key.method, series.key.status, series.total);
        }
        counts
    }

    /// What the agent saw of hosp-proxy on `leg`, by its metrics.
    pub(super) fn metered(&self, leg: Leg) -> Counts {
        let port = self.scope.port(leg, PROXY).to_string();
        let leg = match leg {
            Leg::Server => "server",
            Leg::Client => "client",
        };
        let labels = [("leg", leg), ("service", PROXY), ("server_port", &port)];
        counts(&self.agent_metrics, "hosp_agent_requests_total", &labels)
    }

    /// Attempts that hosp-proxy sent: the others never became a request.
    pub(super) fn attempts_sent(&self) -> u64 {
        let unsent = |outcome: &str| UNSENT.contains(&outcome);
        let attempts = self.proxy.origins.iter().flat_map(|origin| &origin.attempts);
        attempts.filter(|(outcome, _)| !unsent(outcome)).map(|(_, n)| n).sum()
    }

    /// CPU time that the agent took for each request that it recorded.
    pub(super) fn agent_cpu_per_request(&self) -> Option<Duration> {
        per(self.agent.cost.agent_cpu_seconds, self.agent.books.recorded)
    }

    /// CPU time that hosp-proxy took for each request.
    pub(super) fn proxy_cpu_per_request(&self) -> Option<Duration> {
        per(self.proxy_usage.cpu.as_secs_f64(), self.proxy.requests)
    }
}

/// `seconds` divided by `n`.
pub(super) fn per(seconds: f64, n: u64) -> Option<Duration> {
    (n > 0).then(|| Duration::from_secs_f64(seconds.max(0.0) / n as f64))
}

/// A counter by method and status.
fn counts(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> Counts {
    let mut counts = Counts::default();
    for sample in scrape.select(name, labels) {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        let status = label("http_response_status_code").parse().unwrap_or(0);
        counts.add(label("http_request_method"), status, sample.value as u64);
    }
    counts
}
