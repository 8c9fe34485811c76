//! Both sites over real Unix sockets: readers that follow, that lag, that stall, and that ask for nonsense.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use hosp_feed::{AgentInfo, Snapshot};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::feed::FeedSite;
use super::metrics::MetricsSite;
use super::*;
use crate::endpoint::Endpoint;
use crate::enrich::{Enricher, Naming};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::owner::Owner;
use crate::series::{Shared, Table};
use crate::testing::{Script, record};

const DEADLINE: Duration = Duration::from_secs(20);

/// Both servers, with an owner behind them.
struct Agent {
    script: Script,
    metrics: Arc<Metrics>,
    metrics_path: PathBuf,
    feed_path: PathBuf,
    owner: Option<JoinHandle<io::Result<()>>>,
    stop_owner: Arc<AtomicBool>,
    stop_servers: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

fn agent() -> Agent {
    agent_with(Limits::default())
}

fn agent_with(limits: Limits) -> Agent {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    let naming = Naming { services: [(80, "web".into())].into(), routes: Vec::new(), routes_per_service: 50 };
    let series = Shared::default();
    let table = Table::new(10_000, series.clone());
    let intake = Intake::new(Enricher::start(naming, "/proc".into(), None).unwrap(), table, None);
    let (_, proxy) = watch::channel(None);
    let (owner, handle) = Owner::new(script.clone(), intake, AgentInfo::default(), proxy);
    let stop_owner = Arc::new(AtomicBool::new(false));
    let stop = stop_owner.clone();
    let owner = std::thread::spawn(move || owner.run(&stop));
    let metrics = Arc::new(Metrics::new(series, handle.clone()));
    let (stop_servers, stopping) = watch::channel(false);

    let (metrics_path, feed_path) = (dir.path().join("metrics.sock"), dir.path().join("feed.sock"));
    let server = |path: &Path| {
        let bound = Endpoint::Unix(path.to_owned()).bind("--flag").unwrap();
        Server::new(bound, limits, metrics.traffic.stalled_readers.clone()).unwrap()
    };
    let site = Arc::new(MetricsSite::new(metrics.clone(), handle.clone()));
    let scrapes = tokio::spawn(server(&metrics_path).run(site, stopping.clone()));
    let site = Arc::new(FeedSite::new(handle, metrics.traffic.feed_readers.clone()));
    let readers = tokio::spawn(server(&feed_path).run(site, stopping));
    Agent {
        script,
        metrics,
        metrics_path,
        feed_path,
        owner: Some(owner),
        stop_owner,
        stop_servers,
        servers: vec![scrapes, readers],
        _dir: dir,
    }
}

impl Agent {
    async fn stop(&mut self) {
        self.stop_owner.store(true, Relaxed);
        let owner = self.owner.take().unwrap();
        tokio::task::spawn_blocking(|| owner.join().unwrap().unwrap()).await.unwrap();
        self.stop_servers.send(true).unwrap();
        for server in self.servers.drain(..) {
            server.await.unwrap();
        }
    }
}

async fn connect(path: &Path) -> SendRequest<Empty<Bytes>> {
    let stream = UnixStream::connect(path).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(path: &Path, method: Method, target: &str) -> Response<Incoming> {
    let request = Request::builder().method(method).uri(target).header("host", "agent").body(Empty::new());
    connect(path).await.send_request(request.unwrap()).await.unwrap()
}

async fn text(path: &Path, target: &str) -> String {
    let body = ask(path, Method::GET, target).await.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// The next line of a feed; `None` at its proper end.
async fn line(body: &mut Incoming, rest: &mut Vec<u8>) -> Option<Snapshot> {
    loop {
        if let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            return Some(hosp_feed::decode(&line).unwrap());
        }
        let frame =
            tokio::time::timeout(DEADLINE, body.frame()).await.expect("a line within the deadline")?;
        rest.extend_from_slice(&frame.expect("the feed does not break off").into_data().unwrap());
    }
}

#[tokio::test]
async fn pages_methods_and_types() {
    let mut agent = agent();
    for (path, method, target, status, content_type) in [
        (&agent.metrics_path, Method::GET, "/metrics", 200, "text/plain; version=0.0.4"),
        (&agent.metrics_path, Method::HEAD, "/metrics", 200, "text/plain; version=0.0.4"),
        (&agent.metrics_path, Method::GET, "/metrics?x=1", 200, "text/plain; version=0.0.4"),
        (&agent.metrics_path, Method::GET, "/healthz", 200, "text/plain; charset=utf-8"),
        (&agent.metrics_path, Method::GET, "/v1/feed", 404, "text/plain; charset=utf-8"),
        (&agent.metrics_path, Method::POST, "/metrics", 405, "text/plain; charset=utf-8"),
        (&agent.feed_path, Method::GET, "/v1/snapshot", 200, "application/json"),
        (&agent.feed_path, Method::HEAD, "/v1/feed", 200, "application/x-ndjson"),
        (&agent.feed_path, Method::GET, "/healthz", 200, "text/plain; charset=utf-8"),
        (&agent.feed_path, Method::DELETE, "/v1/feed", 405, "text/plain; charset=utf-8"),
        (&agent.feed_path, Method::GET, "/metrics", 404, "text/plain; charset=utf-8"),
    ] {
        let response = ask(path, method.clone(), target).await;
        assert_eq!(response.status(), StatusCode::from_u16(status).unwrap(), "{method} {target}");
        assert_eq!(response.headers()["content-type"], content_type, "{method} {target}");
        assert_eq!(response.headers().contains_key("allow"), status == 405);
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_scrape_shows_what_has_just_happened() {
    let mut agent = agent();
    for _ in 0..3 {
        agent.script.push(&record().path("/patients/7?q=secret").build());
    }
    agent.script.push(&record().client(([192, 0, 2, 1].into(), 8080), 0, "").status(503).build());
    let metrics = text(&agent.metrics_path, "/metrics").await;
    for want in [
        r#"http_server_request_duration_seconds_bucket{http_route="/patients/{id}",service="web",server_port="80",http_request_method="GET",http_response_status_code="200",error_type="",le="0.001"} 3"#,
        r#"http_server_request_duration_seconds_sum{http_route="/patients/{id}",service="web",server_port="80",http_request_method="GET",http_response_status_code="200",error_type=""} 0.003"#,
        r#"http_client_request_duration_seconds_count{server_address="192.0.2.1",service="unknown",server_port="8080",http_request_method="GET",http_response_status_code="503",error_type=""} 1"#,
        r#"hosp_agent_requests_total{leg="server",service="web",server_port="80",http_request_method="GET",http_response_status_code="200",error_type=""} 3"#,
        r#"hosp_agent_requests_total{leg="client",service="unknown",server_port="8080",http_request_method="GET",http_response_status_code="503",error_type=""} 1"#,
        r#"hosp_agent_requests_seen_total{leg="server"} 3"#,
        r#"hosp_agent_requests_recorded_total{leg="client"} 1"#,
        r#"hosp_agent_requests_ended_total{leg="server",class="2xx"} 3"#,
        r#"hosp_agent_requests_ended_total{leg="client",class="5xx"} 1"#,
        r#"hosp_agent_requests_open{leg="server"} 0"#,
        r#"hosp_agent_requests_lost_total{stage="ring"} 0"#,
        r#"hosp_agent_requests_lost_total{stage="pending"} 0"#,
        r#"hosp_agent_requests_lost_total{stage="resync"} 0"#,
        r#"hosp_agent_connections_total{kind="tls"} 0"#,
        r#"hosp_agent_bpf_runs_total{program="hosp_ingress"} 10"#,
        r#"hosp_agent_bpf_run_seconds_total{program="hosp_ingress"} 0.5"#,
        "hosp_agent_books_balanced 1",
        "hosp_agent_build_info{",
        "process_cpu_seconds_total ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(want)), "{want}\nin\n{metrics}");
    }
    assert!(!metrics.contains("secret"));
    agent.stop().await;
}

#[tokio::test]
async fn the_feed_follows_and_ends_properly_with_the_agent() {
    let mut agent = agent();
    let mut body = ask(&agent.feed_path, Method::GET, "/v1/feed").await.into_body();
    let mut rest = Vec::new();
    let first = line(&mut body, &mut rest).await.unwrap();
    assert_eq!(agent.metrics.traffic.feed_readers.get(), 1);
    agent.script.push(&record().build());
    let mut last = line(&mut body, &mut rest).await.unwrap();
    assert!(last.seq > first.seq, "what was sent is not sent again");
    agent.script.push(&record().build());
    agent.stop().await;
    while let Some(snapshot) = line(&mut body, &mut rest).await {
        assert!(snapshot.seq > last.seq);
        last = snapshot;
    }
    assert_eq!(last.series[0].total, 2, "the last snapshot holds everything");
    assert_eq!(agent.metrics.traffic.feed_readers.get(), 0);
    assert!(!agent.feed_path.exists() && !agent.metrics_path.exists());
}

#[tokio::test]
async fn a_reader_that_stalls_is_dropped_and_counted_and_hurts_nobody() {
    let mut agent = agent_with(Limits { patience: Duration::from_millis(300), ..Limits::default() });
    // Lines longer than the socket's buffer take.
    for port in 1..3000 {
        agent.script.push(&record().client(([192, 0, 2, 1].into(), port), 0, "").build());
    }
    let mut stalled = UnixStream::connect(&agent.feed_path).await.unwrap();
    stalled.write_all(b"GET /v1/feed HTTP/1.1\r\nhost: agent\r\n\r\n").await.unwrap();
    let mut body = ask(&agent.feed_path, Method::GET, "/v1/feed").await.into_body();
    let mut rest = Vec::new();
    let begun = Instant::now();
    let mut seen = line(&mut body, &mut rest).await.unwrap().seq;
    while agent.metrics.traffic.stalled_readers.get() == 0 {
        assert!(begun.elapsed() < DEADLINE, "the stalled reader is dropped");
        let next = line(&mut body, &mut rest).await.unwrap().seq;
        assert!(next > seen);
        seen = next;
    }
    assert_eq!(agent.metrics.traffic.stalled_readers.get(), 1, "only the one that stalled");
    // It finds what its buffers hold, and then the end.
    let mut got = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stalled.read_to_end(&mut got))
        .await
        .expect("the connection is closed");
    assert!(line(&mut body, &mut rest).await.unwrap().seq > seen);
    agent.stop().await;
}

#[tokio::test]
async fn a_reader_that_lags_misses_snapshots_and_keeps_the_totals() {
    let mut agent = agent();
    let mut ticks = {
        // Counts ticks without the feed.
        let mut body = ask(&agent.feed_path, Method::GET, "/v1/feed").await.into_body();
        let mut rest = Vec::new();
        line(&mut body, &mut rest).await.unwrap();
        (body, rest)
    };
    // Padding, so that the lagging reader's buffers are full after the first lines.
    for port in 1..3000 {
        agent.script.push(&record().client(([192, 0, 2, 1].into(), port), 0, "").build());
    }
    while line(&mut ticks.0, &mut ticks.1).await.unwrap().series.len() < 2999 {}
    let mut lagging = ask(&agent.feed_path, Method::GET, "/v1/feed").await.into_body();
    for _ in 0..5 {
        line(&mut ticks.0, &mut ticks.1).await.unwrap();
    }
    let mut rest = Vec::new();
    let mut seqs = Vec::new();
    while seqs.windows(2).all(|pair: &[u64]| pair[1] == pair[0] + 1) {
        assert!(seqs.len() < 10, "snapshots are missing: {seqs:?}");
        let snapshot = line(&mut lagging, &mut rest).await.unwrap();
        assert_eq!(snapshot.series.iter().map(|series| series.total).sum::<u64>(), 2999);
        seqs.push(snapshot.seq);
    }
    agent.stop().await;
}

#[tokio::test]
async fn connections_that_ask_nothing_keep_nobody_out() {
    let mut agent = agent_with(Limits { connections: 4, ..Limits::default() });
    let mut body = ask(&agent.feed_path, Method::GET, "/v1/feed").await.into_body();
    let mut rest = Vec::new();
    line(&mut body, &mut rest).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(UnixStream::connect(&agent.feed_path).await.unwrap());
    }
    let snapshot = tokio::time::timeout(DEADLINE, text(&agent.feed_path, "/v1/snapshot"));
    hosp_feed::decode(snapshot.await.expect("an answer within the deadline").as_bytes()).unwrap();
    assert!(agent.metrics.traffic.stalled_readers.get() >= 3, "idle ones gave way");
    let seen = line(&mut body, &mut rest).await.unwrap().seq;
    assert!(line(&mut body, &mut rest).await.unwrap().seq > seen, "who follows the feed stays");
    agent.stop().await;
}

#[tokio::test]
async fn scrapes_that_come_while_one_is_made_share_the_next() {
    let mut agent = agent();
    let metrics = &agent.metrics;
    let (_, second, third) = tokio::join!(metrics.text(), metrics.text(), metrics.text());
    assert_eq!(second.as_ptr(), third.as_ptr(), "made once");
    agent.script.push(&record().build());
    let later = agent.metrics.text().await;
    assert!(!second.is_empty() && later != second, "and never given to one who asks afterwards");
    agent.stop().await;
}
