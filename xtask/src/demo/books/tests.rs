use std::collections::BTreeMap;

use hosp_feed::{AgentInfo, Cost, OriginState, Outcome, ProxyFacts, Series, SeriesKey, Snapshot};
use xtask::load::LoadReport;
use xtask::origin::OriginReport;
use xtask::prom::Scrape;
use xtask::stack::Scope;

use super::*;
use crate::demo::watch::Seen;

const SCOPE: Scope = Scope { proxy_port: 80, origin_port: 90 };

fn series(leg: Leg, service: &str, port: u16, status: u16, total: u64) -> Series {
    let key = SeriesKey {
        leg,
        service: service.into(),
        server_address: String::new(),
        server_port: port,
        route: "/patients".into(),
        method: "GET".into(),
        status,
        outcome: if status == 0 { Outcome::ServerReset } else { Outcome::Answered },
    };
    Series { key, total, count: 0, latency: None }
}

fn counts(all: &[(u16, u64)]) -> Counts {
    let mut counts = Counts::default();
    all.iter().for_each(|&(status, n)| counts.add("GET", status, n));
    counts
}

/// Ten requests, two of them retried: once after a 502, once after a reset. All books agree.
fn honest() -> Evidence {
    let metrics = r#"
hosp_agent_requests_total{leg="server",service="hosp-proxy",server_port="80",http_request_method="GET",http_response_status_code="200",error_type=""} 10
hosp_agent_requests_total{leg="client",service="hosp-proxy",server_port="90",http_request_method="GET",http_response_status_code="200",error_type=""} 10
hosp_agent_requests_total{leg="client",service="hosp-proxy",server_port="90",http_request_method="GET",http_response_status_code="502",error_type=""} 1
hosp_agent_requests_total{leg="client",service="hosp-proxy",server_port="90",http_request_method="GET",http_response_status_code="0",error_type="server_reset"} 1
hosp_agent_requests_total{leg="server",service="hosp-proxy",server_port="8080",http_request_method="GET",http_response_status_code="200",error_type=""} 77
"#;
    let tried = [(200, 10), (502, 1), (0, 1)];
    let on = |leg, service: &str, port, all: &[(u16, u64)]| -> Vec<Series> {
        all.iter().map(|&(status, n)| series(leg, service, port, status, n)).collect()
    };
    let snapshot = Snapshot {
        version: hosp_feed::VERSION,
        agent: AgentInfo::default(),
        seq: 1,
        unix_ms: 0,
        interval_ms: 1000,
        series: [
            on(Leg::Client, LOAD, 80, &[(200, 10)]),
            on(Leg::Server, PROXY, 80, &[(200, 10)]),
            on(Leg::Client, PROXY, 90, &tried),
            on(Leg::Server, ORIGIN, 90, &tried),
            // Somebody else's proxy on the same host is none of this demo's business.
            on(Leg::Server, PROXY, 8080, &[(200, 77)]),
        ]
        .concat(),
        books: Books { seen: 44, recorded: 44, ..Books::default() },
        requests: Vec::new(),
        requests_of: 0,
        attempts: Vec::new(),
        services: Vec::new(),
        proxy: None,
        cost: Cost::default(),
    };
    let mut feed = Seen::default();
    feed.server.requests = 10;
    feed.client.requests = 12;
    let attempts = BTreeMap::from([("2xx".to_owned(), 10), ("5xx".to_owned(), 2), ("connect".to_owned(), 3)]);
    Evidence {
        scope: SCOPE,
        load: LoadReport {
            seed: 1,
            rate: 1.0,
            seconds: 1.0,
            sent: 10,
            counts: counts(&[(200, 10)]),
            outcomes: BTreeMap::new(),
            succeeded: 10,
            latency: Default::default(),
            latest_start_us: 0,
        },
        proxy_requests: counts(&[(200, 10)]),
        proxy: ProxyFacts {
            requests: 10,
            attempts: 15,
            origins: vec![OriginState { attempts, ..OriginState::default() }],
            ..ProxyFacts::default()
        },
        proxy_usage: Default::default(),
        agent: snapshot,
        agent_metrics: Scrape::parse(metrics).unwrap(),
        feed,
        origin: OriginReport {
            listen: ([127, 0, 0, 1], 90).into(),
            counts: counts(&tried),
            resets: 1,
            abandoned: 0,
            open: 0,
            notes_written: 0,
            notes_repeated: 0,
        },
    }
}

fn disagreeing(evidence: &Evidence) -> Vec<&'static str> {
    compare(evidence).iter().filter(|book| !book.agrees()).map(|book| book.title).collect()
}

#[test]
fn honest_books_agree() {
    assert_eq!(disagreeing(&honest()), Vec::<&str>::new());
}

#[test]
fn each_party_that_errs_is_found_out() {
    type Err = fn(&mut Evidence);
    let cases: [(Err, &[&str]); 8] = [
        (|e| e.proxy_requests.add("GET", 200, 1), &["requests"]),
        (|e| e.agent.series[1].total -= 1, &["requests"]),
        (|e| e.load.counts.add("GET", 0, 1), &["requests"]),
        (|e| e.agent.series[0].key.status = 204, &["requests"]),
        (|e| e.origin.open = 1, &["attempts in all", "live feed, client leg"]),
        (|e| e.feed.server.requests -= 1, &["live feed, server leg"]),
        (|e| e.origin.notes_repeated = 1, &["notes written twice"]),
        (
            |e| {
                e.agent.books.recorded -= 2;
                e.agent.books.lost.insert("ring".into(), 2);
            },
            &["the agent's own books", "lost by the agent"],
        ),
    ];
    for (index, (err, expect)) in cases.into_iter().enumerate() {
        let mut evidence = honest();
        err(&mut evidence);
        assert_eq!(disagreeing(&evidence), expect, "case {index}");
    }
}

#[test]
fn a_disagreement_names_method_status_and_both_counts() {
    let mut evidence = honest();
    evidence.agent.series[0].key.status = 204;
    let details = &compare(&evidence)[0].details;
    assert_eq!(details[0], "GET 200: demo-load sent says 10, hosp-agent, demo-load's sockets says 0");
    assert_eq!(details[1], "GET 204: demo-load sent says 0, hosp-agent, demo-load's sockets says 10");
}
