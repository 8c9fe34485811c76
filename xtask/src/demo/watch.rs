//! A reader of the agent's live feed: adds up what each snapshot says of its interval.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context as _;
use hosp_feed::{Latency, Leg, Snapshot};
use http_body_util::BodyExt as _;
use xtask::endpoint::{Endpoint, Why};
use xtask::stack::{PROXY, Scope};

/// What the feed has said so far of hosp-proxy, interval by interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Server leg: what clients got.
    pub(super) server: LegSeen,
    /// Client leg: what the origin did.
    pub(super) client: LegSeen,
    /// Snapshots missed by this reader.
    pub(super) missed: u64,
    last_seq: Option<u64>,
}

/// Requests and latencies of one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct LegSeen {
    /// Requests that ended in all intervals together.
    pub(super) requests: u64,
    /// Their latencies.
    pub(super) latency: Latency,
}

/// A reader in a thread of its own, until the feed ends.
#[derive(Debug)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    /// Begins to read.
    pub(super) fn start(feed: Endpoint, scope: Scope) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let mut body = runtime.block_on(feed.open("/v1/feed")).context("the agent's feed")?;
        let read = async move {
            let mut line = Vec::new();
            while let Some(frame) = body.frame().await {
                for &byte in frame?.data_ref().into_iter().flatten() {
                    line.push(byte);
                    if byte == b'\n' {
                        let snapshot = hosp_feed::decode(&line).map_err(|e| Why::Content(e.to_string()))?;
                        shared.lock().unwrap_or_else(PoisonError::into_inner).add(&snapshot, scope)?;
                        line.clear();
                    }
                }
            }
            Ok::<_, Why>(())
        };
        thread::Builder::new().name("feed".into()).spawn(move || {
            if let Err(error) = runtime.block_on(read) {
                eprintln!("demo: the feed broke off: {error}");
            }
        })?;
        Ok(Self(seen))
    }

    /// What was read so far.
    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    fn add(&mut self, snapshot: &Snapshot, scope: Scope) -> Result<(), Why> {
        self.missed += self.last_seq.map_or(0, |last| snapshot.seq.saturating_sub(last + 1));
        self.last_seq = Some(snapshot.seq);
        for (leg, sum) in [(Leg::Server, &mut self.server), (Leg::Client, &mut self.client)] {
            for series in snapshot.series.iter().filter(|series| scope.covers(series, leg, PROXY)) {
                sum.requests += series.count;
                if let Some(encoded) = &series.latency {
                    sum.latency.merge(&encoded.decode().map_err(|error| Why::Content(error.to_string()))?);
                }
            }
        }
        Ok(())
    }
}
