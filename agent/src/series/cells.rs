//! The counts of one series, written by the owner alone and read by the exporters at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hosp_agent_ebpf::{Leg, Method, Outcome, Record};

/// Upper bounds of the Prometheus buckets, in seconds: the advice of OpenTelemetry's HTTP conventions (0.005 to
/// 10 s), extended to 0.001 s for cache hits and to 30 s for this origin's slowest answers.
pub const BOUNDS: [f64; 19] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0,
    20.0, 30.0,
];

/// [`BOUNDS`] in nanoseconds, so that finding a bucket needs no floating point.
const BOUNDS_NS: [u64; BOUNDS.len()] = {
    let mut ns = [0; BOUNDS.len()];
    let mut i = 0;
    while i < ns.len() {
        ns[i] = (BOUNDS[i] * 1e9) as u64;
        i += 1;
    }
    ns
};

/// What a series counts, in words.
#[derive(Clone, Debug)]
pub struct Labels {
    /// The side on which the requests were seen.
    pub leg: Leg,
    /// Who listens, or who connected.
    pub service: Arc<str>,
    /// Client leg: the address connected to; empty on the server leg.
    pub address: Arc<str>,
    /// The port listened on, or connected to.
    pub port: u16,
    /// Path template.
    pub route: Arc<str>,
    /// Method.
    pub method: Method,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// How the requests ended.
    pub outcome: Outcome,
}

/// What a series counts of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// From the first byte of the request to the last one of the answer, in nanoseconds.
    pub duration_ns: u64,
    /// What passed.
    pub bytes: Bytes,
}

/// Bytes of requests and answers. A head counts as body for as long as it has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Of requests' heads; no more than 65,535 of each.
    pub request_head: u64,
    /// Of requests' bodies.
    pub request_body: u64,
    /// Of answers' heads, interim ones included.
    pub response_head: u64,
    /// Of answers' bodies.
    pub response_body: u64,
}

impl Bytes {
    const PARTS: usize = 4;

    fn parts(self) -> [u64; Self::PARTS] {
        [self.request_head, self.request_body, self.response_head, self.response_body]
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        self.request_head = self.request_head.wrapping_add(other.request_head);
        self.request_body = self.request_body.wrapping_add(other.request_body);
        self.response_head = self.response_head.wrapping_add(other.response_head);
        self.response_body = self.response_body.wrapping_add(other.response_body);
    }
}

impl From<&Record> for Sample {
    fn from(record: &Record) -> Self {
        let (request_head, response_head) = (u64::from(record.request_head), u64::from(record.response_head));
        Self {
            duration_ns: record.duration_ns,
            bytes: Bytes {
                request_head,
                request_body: record.request_bytes.saturating_sub(request_head),
                response_head,
                response_body: record.response_bytes.saturating_sub(response_head),
            },
        }
    }
}

/// Counts of one series since the agent started.
#[derive(Debug)]
pub struct Cells {
    /// What is counted here.
    pub labels: Labels,
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
    bytes: [AtomicU64; Bytes::PARTS],
}

/// One reading of [`Cells`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by duration: one bucket for each of [`BOUNDS`] and one for what is longer; not cumulative.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Sum of the durations, in nanoseconds.
    pub sum_ns: u64,
    /// Sum of the bytes.
    pub bytes: Bytes,
}

impl Cells {
    /// All zero.
    pub fn new(labels: Labels) -> Self {
        Self { labels, buckets: Default::default(), sum_ns: AtomicU64::new(0), bytes: Default::default() }
    }

    /// Counts one request. Only the owner calls this: with a single writer, a plain load and
    /// store is enough, and no bus lock is taken for each request.
    pub fn observe(&self, sample: Sample) {
        let add = |to: &AtomicU64, n: u64| to.store(to.load(Relaxed).wrapping_add(n), Relaxed);
        add(&self.buckets[BOUNDS_NS.partition_point(|&bound| bound < sample.duration_ns)], 1);
        add(&self.sum_ns, sample.duration_ns);
        for (sum, bytes) in self.bytes.iter().zip(sample.bytes.parts()) {
            add(sum, bytes);
        }
    }

    /// The counts at this moment.
    pub fn read(&self) -> Counts {
        let [request_head, request_body, response_head, response_body] =
            self.bytes.each_ref().map(|sum| sum.load(Relaxed));
        Counts {
            buckets: std::array::from_fn(|i| self.buckets[i].load(Relaxed)),
            sum_ns: self.sum_ns.load(Relaxed),
            bytes: Bytes { request_head, request_body, response_head, response_body },
        }
    }
}

impl Counts {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
        self.bytes.add(&other.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_below_it() {
        // Prometheus buckets are "less than or equal".
        let cells = Cells::new(Labels {
            leg: Leg::Server,
            service: "s".into(),
            address: "".into(),
            port: 80,
            route: "/".into(),
            method: Method::Get,
            status: 200,
            outcome: Outcome::Answered,
        });
        for (ns, bucket) in [
            (0, 0),
            (1_000_000, 0),
            (1_000_001, 1),
            (1_000_000_000, 11),
            (30_000_000_000, 18),
            (30_000_000_001, 19),
            (u64::MAX, 19),
        ] {
            let before = cells.read().buckets[bucket];
            cells.observe(Sample { duration_ns: ns, ..Sample::default() });
            assert_eq!(cells.read().buckets[bucket], before + 1, "{ns} ns");
        }
        assert_eq!(cells.read().total(), 7);
    }
}
