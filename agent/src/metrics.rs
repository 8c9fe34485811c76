//! What Prometheus scrapes: brings all families together and writes them as text, once for all who ask meanwhile.

mod family;
mod observer;
mod process;
mod requests;

use std::sync::Arc;

use bytes::Bytes;
use hosp_agent_ebpf::Leg;
use prometheus::{IntCounter, IntGauge, Opts, Registry, TextEncoder};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::owner::Handle;
use crate::series::Shared;

/// What Prometheus scrapes.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    series: Shared,
    owner: Handle,
    /// The newest text, with the moment at which its making began. Held while the next one is made.
    newest: Mutex<Option<(Instant, Bytes)>>,
    /// How the servers count their connections.
    pub traffic: Traffic,
}

/// Counts of the agent's own servers. Clones share them.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Readers of the feed now.
    pub feed_readers: IntGauge,
    /// Readers that were dropped because they took nothing for too long, or had nothing to take while others waited.
    pub stalled_readers: IntCounter,
}

impl Metrics {
    /// Metrics of these series, and of the rest of what `owner` knows.
    pub fn new(series: Shared, owner: Handle) -> Self {
        let registry = Registry::new();
        let traffic = Traffic {
            feed_readers: IntGauge::new("hosp_agent_feed_readers", "Readers of the live feed now.")
                .expect("the name is valid"),
            stalled_readers: IntCounter::new(
                "hosp_agent_stalled_readers_total",
                "Connections of feed or metrics that were dropped: they stalled, or were idle while others waited.",
            )
            .expect("the name is valid"),
        };
        let build = Opts::new("hosp_agent_build_info", "Version of hosp-agent; always 1.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(build).expect("the name is valid");
        build.set(1);
        registry.register(Box::new(build)).expect("names differ");
        registry.register(Box::new(traffic.feed_readers.clone())).expect("names differ");
        registry.register(Box::new(traffic.stalled_readers.clone())).expect("names differ");
        Self { registry, series, owner, newest: Mutex::new(None), traffic }
    }

    /// All families in the text format, no older than this call. A text may have megabytes: it is made off the
    /// async runtime, and those who ask while one is being made share the next.
    pub async fn text(self: &Arc<Self>) -> Bytes {
        let asked = Instant::now();
        let mut newest = self.newest.lock().await;
        if let Some((began, text)) = &*newest
            && *began >= asked
        {
            return text.clone();
        }
        let began = Instant::now();
        // Without an owner there is nothing newer than what is there.
        self.owner.refresh().await;
        let metrics = self.clone();
        let text = tokio::task::spawn_blocking(move || Bytes::from(metrics.encode())).await;
        let text = text.expect("encoding metrics does not panic");
        *newest = Some((began, text.clone()));
        text
    }

    fn encode(&self) -> String {
        let mut families = self.registry.gather();
        families.extend(requests::families(&self.series));
        families.extend(observer::families(&self.owner.status()));
        families.extend(process::families());
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families).expect("every family has a name and metrics")
    }
}

/// The value of the `leg` label.
fn leg(leg: Leg) -> &'static str {
    match leg {
        Leg::Server => "server",
        Leg::Client => "client",
    }
}
