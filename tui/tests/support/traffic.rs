//! Made-up traffic, the same at each run: what a proxy in front of a flaky origin looks like on the feed.

use std::collections::BTreeMap;

use hosp_feed::{
    AgentInfo, Books, Cost, Latency, Leg, Outcome, ProxyFacts, Request, Series, SeriesKey, Snapshot, VERSION,
};

/// 2026-11-23T21:00:00Z.
pub(crate) const START_UNIX_MS: u64 = 1_795_467_600_000;

/// (method, route, requests per second)
const ROUTES: [(&str, &str, u64); 6] = [
    ("GET", "/patients/{id}", 40),
    ("GET", "/patients/{id}/notes", 25),
    ("GET", "/patients", 12),
    ("POST", "/patients/{id}/notes", 6),
    ("GET", "/static/{file}", 30),
    ("GET", "/login", 2),
];

/// An agent that makes its traffic up.
pub(crate) struct Agent {
    info: AgentInfo,
    seq: u64,
    random: u64,
    totals: BTreeMap<SeriesKey, u64>,
    facts: ProxyFacts,
}

impl Agent {
    /// An agent that starts now, with no request seen.
    pub(crate) fn new(host: &str, pid: u32) -> Self {
        Self {
            info: AgentInfo {
                host: host.into(),
                version: "0.1.0".into(),
                pid,
                started_unix_ms: START_UNIX_MS + u64::from(pid),
            },
            seq: 0,
            random: u64::from(pid),
            totals: BTreeMap::new(),
            facts: ProxyFacts::default(),
        }
    }

    /// A number below `n`, by a linear congruential generator.
    fn below(&mut self, n: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % n
    }

    /// The next second of traffic.
    pub(crate) fn second(&mut self) -> Snapshot {
        let mut interval: BTreeMap<SeriesKey, Latency> = BTreeMap::new();
        let mut requests = Vec::new();
        for (method, route, rate) in ROUTES {
            for _ in 0..rate / 2 + self.below(rate + 1) {
                self.exchange(method, route, &mut interval, &mut requests);
            }
        }
        self.seq += 1;
        let ended = requests.len();
        let unix_ms = START_UNIX_MS + self.seq * 1000;
        for (key, latency) in &interval {
            *self.totals.entry(key.clone()).or_default() += latency.count();
        }
        let seen = self.totals.values().sum();
        Snapshot {
            version: VERSION,
            agent: self.info.clone(),
            seq: self.seq,
            unix_ms,
            interval_ms: 1000,
            series: self
                .totals
                .iter()
                .map(|(key, &total)| Series {
                    key: key.clone(),
                    total,
                    count: interval.get(key).map_or(0, Latency::count),
                    latency: interval.get(key).map(Latency::encode),
                })
                .collect(),
            books: Books {
                seen,
                recorded: seen,
                lost: BTreeMap::from([("ring".to_owned(), 0)]),
                open: 0,
                resyncs: 0,
                connections: BTreeMap::from([("http1".to_owned(), 12), ("tls".to_owned(), 0)]),
            },
            requests: requests.split_off(ended.saturating_sub(50)),
            requests_of: ended as u64,
            attempts: Vec::new(),
            services: Vec::new(),
            proxy: Some(self.facts.clone()),
            cost: Cost {
                agent_cpu_seconds: 0.01 * self.seq as f64,
                agent_rss_bytes: 9_000_000,
                programs: vec![],
            },
        }
    }

    /// One request of a client, and the attempts that it took.
    fn exchange(
        &mut self,
        method: &str,
        route: &str,
        interval: &mut BTreeMap<SeriesKey, Latency>,
        requests: &mut Vec<Request>,
    ) {
        self.facts.requests += 1;
        let cached = method == "GET" && route.starts_with("/static") && self.below(10) < 8;
        *self.facts.cache.entry(if cached { "hit" } else { "miss" }.into()).or_default() += 1;
        let mut waited = 150 + self.below(200);
        let mut status = 200;
        for attempt in 0..if cached { 0 } else { 3 } {
            if attempt > 0 {
                *self.facts.retries.entry("status".into()).or_default() += 1;
            }
            let outcome;
            (status, outcome) = match self.below(100) {
                0..3 => (503, Outcome::Answered),
                3..4 => (500, Outcome::Answered),
                4 => (0, Outcome::ServerReset),
                5..8 => (404, Outcome::Answered),
                _ => (if method == "POST" { 201 } else { 200 }, Outcome::Answered),
            };
            self.facts.attempts += 1;
            let took = 20_000 + self.below(180_000) + self.below(20) / 19 * self.below(2_000_000);
            waited += took;
            self.end(Leg::Client, method, route, status, outcome, took, interval, requests);
            if (1..500).contains(&status) || method == "POST" {
                break;
            }
        }
        let status = if status == 0 { 502 } else { status };
        self.end(Leg::Server, method, route, status, Outcome::Answered, waited, interval, requests);
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one request, used in one place")]
    fn end(
        &mut self,
        leg: Leg,
        method: &str,
        route: &str,
        status: u16,
        outcome: Outcome,
        micros: u64,
        interval: &mut BTreeMap<SeriesKey, Latency>,
        requests: &mut Vec<Request>,
    ) {
        let (address, server_port, peer) = match leg {
            Leg::Server => {
                (String::new(), 8080, format!("192.0.2.{}:{}", self.below(200), 40_000 + self.below(20_000)))
            }
            Leg::Client => ("10.0.0.80".to_owned(), 80, "10.0.0.80:80".to_owned()),
        };
        let key = SeriesKey {
            leg,
            service: "hosp-proxy".into(),
            server_address: address,
            server_port,
            route: route.into(),
            method: method.into(),
            status,
            outcome,
        };
        requests.push(Request {
            start_unix_ms: START_UNIX_MS + self.seq * 1000 + 500,
            leg,
            service: key.service.clone(),
            peer,
            server_port,
            method: method.into(),
            route: route.into(),
            status,
            outcome,
            ttfb_us: if status == 0 { 0 } else { micros / 2 },
            duration_us: micros,
            request_bytes: 300,
            response_bytes: 1_000 + self.below(20_000),
            srtt_us: 900,
            retransmits: 0,
            ordinal: 1,
            unit: String::new(),
            pipelined: false,
            unread_us: 0,
            request_id: None,
        });
        interval.entry(key).or_default().record(micros);
    }
}
