//! One published interval: everything that readers may know, immutable, and put into words only when one of them asks.

use std::sync::Arc;

use bytes::Bytes;
use hosp_feed::{
    AgentInfo, Attempts, Books, Cost, Latency, ProxyFacts, Series, SeriesKey, ServiceInfo, Snapshot,
};
use tokio::sync::OnceCell;

use crate::live::{self, Live};
use crate::series::{Cells, Interval, Labels};

/// One published interval.
#[derive(Debug)]
pub struct Tick {
    facts: Facts,
    line: OnceCell<Bytes>,
}

/// What the owner knew at the end of an interval.
#[derive(Debug)]
pub struct Facts {
    /// Which agent this is.
    pub agent: Arc<AgentInfo>,
    /// One more than in the tick before.
    pub seq: u64,
    /// End of the interval, wall-clock, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// Wall-clock time of the monotonic clock's 0, in nanoseconds since 1970.
    pub boot_unix_ns: u64,
    /// Length of the interval in milliseconds.
    pub interval_ms: u64,
    /// Every series: its cells, its total at the end of the interval, and the interval's latencies.
    pub series: Vec<(Arc<Cells>, u64, Interval)>,
    /// The kernel's books.
    pub books: Books,
    /// Newest requests of the interval, oldest first.
    pub live: Vec<Live>,
    /// Requests that ended in the interval.
    pub live_of: u64,
    /// Attempts by request.
    pub attempts: Vec<Attempts>,
    /// Services with the units that they run in.
    pub services: Vec<ServiceInfo>,
    /// What the proxy says of itself.
    pub proxy: Option<Arc<ProxyFacts>>,
    /// What observing costs.
    pub cost: Cost,
}

impl Tick {
    /// Publishes `facts`.
    pub fn new(facts: Facts) -> Self {
        Self { facts, line: OnceCell::new() }
    }

    /// The snapshot as one line of the feed. Made once, off the async runtime, however many readers there are.
    pub async fn line(self: &Arc<Self>) -> Bytes {
        let make = || async {
            let tick = self.clone();
            let line = tokio::task::spawn_blocking(move || hosp_feed::encode(&tick.snapshot()).into());
            line.await.expect("encoding a snapshot does not panic")
        };
        self.line.get_or_init(make).await.clone()
    }

    /// When the interval ended, in nanoseconds since 1970.
    pub fn unix_ns(&self) -> u64 {
        self.facts.unix_ns
    }

    /// The snapshot as readers get it.
    pub fn snapshot(&self) -> Snapshot {
        let facts = &self.facts;
        let mut scratch = Latency::new();
        let series = facts.series.iter().map(|(cells, total, interval)| Series {
            key: key(&cells.labels),
            total: *total,
            count: interval.count(),
            latency: interval.encode(&mut scratch),
        });
        Snapshot {
            version: hosp_feed::VERSION,
            agent: (*facts.agent).clone(),
            seq: facts.seq,
            unix_ms: facts.unix_ns / 1_000_000,
            interval_ms: facts.interval_ms,
            series: series.collect(),
            books: facts.books.clone(),
            requests: facts.live.iter().map(|live| live.request(facts.boot_unix_ns)).collect(),
            requests_of: facts.live_of,
            attempts: facts.attempts.clone(),
            services: facts.services.clone(),
            proxy: facts.proxy.as_deref().cloned(),
            cost: facts.cost.clone(),
        }
    }
}

fn key(labels: &Labels) -> SeriesKey {
    SeriesKey {
        leg: live::leg(labels.leg),
        service: labels.service.to_string(),
        server_address: labels.address.to_string(),
        server_port: labels.port,
        route: labels.route.to_string(),
        method: labels.method.as_str().to_owned(),
        status: labels.status,
        outcome: live::outcome(labels.outcome),
    }
}
