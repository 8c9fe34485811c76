//! A running agent, and what it says.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hosp_feed::Request;
use xtask::child::{Launch, Running};
use xtask::counts::Counts;
use xtask::endpoint::Endpoint;
use xtask::poll;
use xtask::prom::Scrape;

use crate::home::Home;

/// Long enough for a busy machine; nothing waits this long on a good day.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Names of files in the rig's directory.
const CONFIG: &str = "agent.toml";
const REQUEST_LOG: &str = "requests.jsonl";

static ALONE: Mutex<()> = Mutex::new(());

/// An agent that observes this process and its children, with its own sockets and directory.
pub(crate) struct Rig {
    pub(crate) agent: Running,
    pub(crate) metrics: Endpoint,
    pub(crate) feed: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) home: Home,
    /// The cgroup is this process's: one test at a time. Last, so that it is given back last.
    _alone: MutexGuard<'static, ()>,
}

/// Whether this test may run here; false, with a reason, where it may be skipped.
pub(crate) fn runnable(programs: &[&str]) -> bool {
    let required = |name, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    let required = required("CI", "true") || required("HOSP_TEST_REQUIRE", "1");
    let missing = programs.iter().find(|name| find(name).is_none());
    let reason = if !rustix::process::geteuid().is_root() {
        "attaching BPF programs takes root".to_owned()
    } else if let Some(name) = missing {
        format!("{name} is not installed: cargo xtask setup test")
    } else {
        return true;
    };
    assert!(!required, "this test must run here, but {reason}");
    eprintln!("skipped: {reason}");
    false
}

/// Where a program lies.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

impl Rig {
    /// Starts an agent and waits until it observes.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// The same, with this configuration file.
    pub(crate) fn with(config: &str) -> Self {
        Self::serving(None, config)
    }

    /// The same, with its metrics at this address. Without one they are on a Unix socket: on a TCP socket, those who
    /// ask for them would be observed themselves.
    pub(crate) fn serving(metrics: Option<SocketAddr>, config: &str) -> Self {
        // A test that failed has not spoilt anything for the next one.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let home = Home::enter();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CONFIG), config).unwrap();
        let metrics = metrics.map_or_else(|| Endpoint::Unix(dir.path().join("metrics.sock")), Endpoint::Tcp);
        let feed = dir.path().join("agent.sock");
        let agent = start(dir.path(), &home, &metrics, &feed);
        let rig = Self { agent, metrics, feed, dir, home, _alone: alone };
        rig.ready();
        rig
    }

    /// Ends the agent as an operator would.
    pub(crate) fn stop(&mut self) {
        let ended = self.agent.stop(PATIENCE).unwrap();
        assert!(ended.success(), "{ended}: {}", self.agent.log_tail(20));
    }

    /// Starts another agent in the place of one that was stopped.
    pub(crate) fn start(&mut self) {
        self.agent = start(self.dir.path(), &self.home, &self.metrics, &self.feed);
        self.ready();
    }

    /// The requests of one port in the request log, once there are `n`. Not from the feed: that has a sample.
    pub(crate) fn logged(&self, port: u16, n: usize) -> Vec<Request> {
        let read = || -> Option<Vec<Request>> {
            let log = fs::read_to_string(self.dir.path().join(REQUEST_LOG)).ok()?;
            let own = format!("\"server_port\":{port},");
            // The last line may still be being written.
            let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n') && line.contains(&own));
            Some(lines.map(|line| serde_json::from_str(line).unwrap()).collect())
        };
        let enough = || read().filter(|requests| requests.len() >= n);
        match poll::until("logged requests", PATIENCE, enough) {
            Ok(requests) => requests,
            Err(late) => panic!("{late}: {n} of port {port}, but only {:#?}", read()),
        }
    }

    fn ready(&self) {
        let up = poll::until("the agent's metrics", PATIENCE, || self.metrics.get_text("/metrics").ok());
        assert!(up.is_ok(), "{}", self.agent.log_tail(20));
    }

    /// What `/metrics` says now.
    pub(crate) fn scrape(&self) -> Scrape {
        Scrape::parse(&self.metrics.get_text("/metrics").unwrap()).unwrap()
    }

    /// `hosp_agent_requests_total` of one leg and port, by method and status.
    pub(crate) fn requests(&self, leg: &str, port: u16) -> Counts {
        let port = port.to_string();
        let mut counts = Counts::default();
        for s in self.scrape().select("hosp_agent_requests_total", &[("leg", leg), ("server_port", &port)]) {
            let status = s.labels["http_response_status_code"].parse().unwrap();
            counts.add(&s.labels["http_request_method"], status, s.value as u64);
        }
        counts
    }

    /// `hosp_agent_requests_total` of one leg and port, by `error_type`.
    pub(crate) fn endings(&self, leg: &str, port: u16) -> Vec<(String, u64)> {
        let port = port.to_string();
        let scrape = self.scrape();
        let labels = [("leg", leg), ("server_port", port.as_str())];
        let all = scrape.select("hosp_agent_requests_total", &labels).map(|s| {
            (format!("{} {}", s.labels["http_response_status_code"], s.labels["error_type"]), s.value as u64)
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        all
    }

    /// Waits until one leg's counts are `truth`; tells the difference when they never are.
    pub(crate) fn expect(&self, leg: &str, port: u16, truth: &Counts) {
        let same = || (self.requests(leg, port) == *truth).then_some(());
        if poll::until("equal books", PATIENCE, same).is_err() {
            let seen = self.requests(leg, port);
            let all = self.metrics.get_text("/metrics").unwrap();
            let books: Vec<&str> = all.lines().filter(|line| line.starts_with("hosp_agent_")).collect();
            panic!(
                "{leg} leg, port {port}: (kind, agent, truth) {:?}\n{}",
                seen.differences(truth),
                books.join("\n")
            );
        }
    }

    /// Requests lost at any stage.
    pub(crate) fn lost(&self) -> f64 {
        self.scrape().sum("hosp_agent_requests_lost_total", &[])
    }
}

fn start(dir: &Path, home: &Home, metrics: &Endpoint, feed: &Path) -> Running {
    let log = dir.join("agent.log");
    Launch::new("hosp-agent", env!("CARGO_BIN_EXE_hosp-agent"))
        .args(["--config".as_ref(), dir.join(CONFIG).as_os_str()])
        .args(["--cgroup".as_ref(), home.cgroup.path().as_os_str()])
        .args(["--metrics-listen", &metrics.to_string(), "--feed", &format!("unix:{}", feed.display())])
        .args(["--proxy", &format!("unix:{}", dir.join("no-proxy.sock").display())])
        .args(["--request-log".into(), dir.join(REQUEST_LOG)])
        .log(&log)
        .spawn()
        .unwrap()
}

/// Runs a client to its end.
pub(crate) fn client(program: &str, args: &[&str]) -> String {
    let output = Command::new(find(program).unwrap()).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
