//! What hosp-agent and hosp-proxy say in their `/metrics`, about one stack.

use hosp_feed::Leg;
use xtask::prom::Scrape;
use xtask::stack::{PROXY, Stack};

/// What one leg of hosp-proxy has had to do, by status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LegCounts {
    /// All requests that ended.
    pub(crate) ended: u64,
    /// Those whose client went away: no success, and no failure of the service.
    pub(crate) abandoned: u64,
    /// Whole answers with a status below 500.
    pub(crate) succeeded: u64,
    /// By the status's first digit; 0 for none.
    pub(crate) classes: [u64; 6],
}

impl LegCounts {
    /// Those that count towards success.
    pub(crate) fn counted(&self) -> u64 {
        self.ended - self.abandoned
    }
}

/// The requests of hosp-proxy on `leg`, from hosp-agent's `/metrics`.
pub(crate) fn leg(stack: &Stack, leg: Leg) -> LegCounts {
    let port = stack.scope().port(leg, PROXY).to_string();
    let name = if leg == Leg::Server { "server" } else { "client" };
    let mut counts = LegCounts::default();
    let labels = [("leg", name), ("service", PROXY), ("server_port", port.as_str())];
    for sample in agent(stack).select("hosp_agent_requests_total", &labels) {
        let (n, error) = (sample.value as u64, sample.labels["error_type"].as_str());
        let status: usize = sample.labels["http_response_status_code"].parse().unwrap();
        counts.ended += n;
        counts.classes[status / 100] += n;
        if error.starts_with("client_") {
            counts.abandoned += n;
        } else if error.is_empty() && (100..500).contains(&status) {
            counts.succeeded += n;
        }
    }
    counts
}

/// hosp-agent's `/metrics`.
pub(crate) fn agent(stack: &Stack) -> Scrape {
    Scrape::parse(&stack.agent_metrics().get_text("/metrics").unwrap()).unwrap()
}

/// hosp-proxy's `/metrics`.
pub(crate) fn proxy(stack: &Stack) -> Scrape {
    Scrape::parse(&stack.proxy_admin().get_text("/metrics").unwrap()).unwrap()
}
