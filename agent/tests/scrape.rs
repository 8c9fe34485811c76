//! The whole of userspace with a scripted kernel: Prometheus' own checker on a scrape, and an orderly end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "this test needs only some of it")]
#[path = "support/testing.rs"]
mod testing;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hosp_agent::args::Options;
use hosp_agent::config::Settings;
use hosp_agent::endpoint::Endpoint;
use hosp_agent::failure::Failure;
use hosp_agent::run::{Sockets, run, runtime};
use hosp_agent::source::{Counters, Source};
use hosp_agent_ebpf::{COUNTERS, Method, Outcome};
use hosp_feed::{ProgramCost, Snapshot};
use testing::{Script, record};
use tokio::sync::oneshot;

/// The agent, running on a thread of its own.
struct Agent {
    script: Script,
    metrics: SocketAddr,
    feed: PathBuf,
    proxy: PathBuf,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
    _dir: tempfile::TempDir,
}

/// Settings of an agent that meets no other.
fn settings(dir: &Path) -> Settings {
    Settings::load(&Options {
        metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
        feed: Some(Endpoint::Unix(dir.join("agent.sock"))),
        proxy: Some(Endpoint::Unix(dir.join("proxy.sock"))),
        ..Options::default()
    })
    .unwrap()
}

fn sockets(settings: &Settings) -> Sockets {
    Sockets { metrics: settings.metrics.bind("").unwrap(), feed: settings.feed.bind("").unwrap() }
}

fn agent() -> Agent {
    agent_with(|_| {})
}

fn agent_with(change: impl FnOnce(&mut Settings)) -> Agent {
    let dir = tempfile::tempdir().unwrap();
    let (feed, proxy) = (dir.path().join("agent.sock"), dir.path().join("proxy.sock"));
    let mut settings = settings(dir.path());
    change(&mut settings);
    let sockets = sockets(&settings);
    let Ok(Endpoint::Tcp(metrics)) = sockets.metrics.endpoint() else { panic!("a TCP address") };
    let script = Script::default();
    let (stop, stopped) = oneshot::channel();
    let source = script.clone();
    let thread = thread::spawn(move || {
        run(&runtime()?, source, settings, sockets, async {
            let _ = stopped.await;
        })
    });
    Agent { script, metrics, feed, proxy, stop, thread, _dir: dir }
}

fn get(metrics: SocketAddr, path: &str) -> String {
    exchange(TcpStream::connect(metrics).unwrap(), path)
}

fn exchange(mut stream: impl Read + Write, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// Records of every method and outcome, on both legs.
fn every_kind(script: &Script) {
    let origin = (IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)), 8080);
    for &method in Method::ALL {
        for &outcome in Outcome::ALL {
            let make = || match outcome {
                Outcome::Answered => record().method(method),
                outcome => record().method(method).ended(outcome),
            };
            script.push(&make().build());
            script.push(&make().client(origin, 0, "").build());
        }
    }
}

#[test]
fn promtool_has_nothing_to_say_about_a_scrape() {
    let found =
        Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs promtool: apt-get install prometheus");
        eprintln!("skipped: there is no promtool (apt-get install prometheus)");
        return;
    }
    let agent = agent();
    every_kind(&agent.script);
    let metrics = get(agent.metrics, "/metrics");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert_eq!(metrics.lines().filter(|line| line.starts_with("hosp_agent_requests_total{")).count(), 140);
    agent.stop.send(()).unwrap();
    agent.thread.join().unwrap().unwrap();
}

#[test]
fn stopping_leaves_nothing_behind() {
    let agent = agent();
    assert_eq!(get(agent.metrics, "/healthz"), "ok\n");
    assert!(agent.feed.exists());
    agent.stop.send(()).unwrap();
    agent.thread.join().unwrap().unwrap();
    assert!(!agent.feed.exists());
    assert!(TcpStream::connect(agent.metrics).is_err());
}

#[test]
fn every_request_is_in_the_request_log() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let agent = agent_with(|settings| settings.request_log = Some(log.path().to_owned()));
    every_kind(&agent.script);
    let metrics = get(agent.metrics, "/metrics");
    assert!(metrics.contains("hosp_agent_requests_unlogged_total 0"), "{metrics}");
    agent.stop.send(()).unwrap();
    agent.thread.join().unwrap().unwrap();
    let lines = std::fs::read_to_string(log.path()).unwrap();
    let requests: Vec<hosp_feed::Request> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(requests.len(), 140);
    assert!(requests.iter().all(|request| request.route == "/"));
}

#[test]
fn a_request_log_that_cannot_be_opened_is_named_with_the_flag_that_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { request_log: Some(dir.path().join("missing/log")), ..settings(dir.path()) };
    let sockets = sockets(&settings);
    let failure = run(&runtime().unwrap(), Broken, settings, sockets, std::future::pending()).unwrap_err();
    assert_eq!(failure.exit_status(), 69);
    assert!(failure.to_string().contains("missing/log") && failure.to_string().contains("--request-log"));
    assert!(!dir.path().join("agent.sock").exists());
}

/// Waits for a snapshot of which `holds` is true.
fn until(agent: &Agent, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        let body = exchange(UnixStream::connect(&agent.feed).unwrap(), "/v1/snapshot");
        if holds(&hosp_feed::decode(body.as_bytes()).unwrap()) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

#[test]
fn what_the_proxy_says_rides_along_for_as_long_as_there_is_one() {
    let agent = agent();
    until(&agent, "a snapshot without a proxy", |snapshot| snapshot.proxy.is_none());
    let proxy = UnixListener::bind(&agent.proxy).unwrap();
    // Lives for three questions.
    let answers = thread::spawn(move || {
        for stream in proxy.incoming().take(3) {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            assert_ne!(stream.read(&mut head).unwrap(), 0);
            let facts = r#"{"requests":7,"attempts":9}"#;
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{facts}", facts.len()).unwrap();
        }
    });
    let facts = |snapshot: &Snapshot| snapshot.proxy.as_ref().map(|facts| (facts.requests, facts.attempts));
    until(&agent, "the proxy's facts", |snapshot| facts(snapshot) == Some((7, 9)));
    answers.join().unwrap();
    until(&agent, "old facts are gone with the proxy", |snapshot| snapshot.proxy.is_none());
    agent.stop.send(()).unwrap();
    agent.thread.join().unwrap().unwrap();
}

/// A kernel whose ring cannot be waited for.
struct Broken;

impl Source for Broken {
    fn wait(&mut self, _: Duration) -> io::Result<()> {
        Err(io::Error::other("the ring is gone"))
    }

    fn drain(&mut self, _: &mut dyn FnMut(&[u8])) {}

    fn counters(&self) -> Counters {
        [0; COUNTERS as usize]
    }

    fn program_costs(&self) -> Vec<ProgramCost> {
        Vec::new()
    }
}

#[test]
fn an_agent_that_can_no_longer_observe_ends_instead_of_showing_old_figures() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let sockets = sockets(&settings);
    let failure = run(&runtime().unwrap(), Broken, settings, sockets, std::future::pending()).unwrap_err();
    assert_eq!(failure.exit_status(), 70);
    assert!(failure.to_string().contains("the ring is gone"), "{failure}");
    assert!(!dir.path().join("agent.sock").exists());
}
