//! A running agent, and servers for it to observe.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xtask::child::{Launch, Running};
use xtask::counts::Counts;
use xtask::endpoint::Endpoint;
use xtask::prom::Scrape;
use xtask::{poll, ports};

/// Long enough for a busy machine; nothing waits this long on a good day.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Name of the request log in the rig's directory.
const REQUEST_LOG: &str = "requests.jsonl";

static ALONE: Mutex<()> = Mutex::new(());

/// An agent on the host's root cgroup, with its own sockets and directory.
pub(crate) struct Rig {
    pub(crate) agent: Running,
    pub(crate) metrics: Endpoint,
    pub(crate) feed: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    /// Agents on the root cgroup see each other's traffic: one test at a time. Last, so that it is given back last.
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
        // A test that failed has not spoilt anything for the next one.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let [address] = ports::free().unwrap();
        let feed = dir.path().join("agent.sock");
        let agent = start(dir.path(), address, &feed);
        let rig = Self { agent, metrics: Endpoint::Tcp(address), feed, dir, _alone: alone };
        rig.ready();
        rig
    }

    /// Ends the agent as an operator would, and starts another one in its place.
    pub(crate) fn restart(&mut self) {
        let ended = self.agent.stop(PATIENCE).unwrap();
        assert!(ended.success(), "{ended}: {}", self.agent.log_tail(20));
        let Endpoint::Tcp(address) = self.metrics else { unreachable!("made with a TCP address") };
        self.agent = start(self.dir.path(), address, &self.feed);
        self.ready();
    }

    /// Where the agent logs every request.
    pub(crate) fn request_log(&self) -> PathBuf {
        self.dir.path().join(REQUEST_LOG)
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

fn start(dir: &Path, metrics: SocketAddr, feed: &Path) -> Running {
    let log = dir.join("agent.log");
    Launch::new("hosp-agent", env!("CARGO_BIN_EXE_hosp-agent"))
        .args(["--metrics-listen", &metrics.to_string(), "--feed", &format!("unix:{}", feed.display())])
        .args(["--proxy", &format!("unix:{}", dir.join("no-proxy.sock").display())])
        .args(["--request-log".into(), dir.join(REQUEST_LOG)])
        .log(&log)
        .spawn()
        .unwrap()
}

/// A real nginx with one line of `METHOD status` in its log for each request.
pub(crate) struct Nginx {
    server: Running,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Nginx {
    /// Starts it on a free port, with a file of 3 MB, an error and an empty answer to serve.
    pub(crate) fn new(dir: &Path) -> Self {
        let [address] = ports::free().unwrap();
        let log = dir.join("access.log");
        let at = dir.display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .join("\n");
        let conf = format!(
            "daemon off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/error.log; {user}
             events {{ worker_connections 4096; }}
             http {{
                 {temp}
                 log_format counts '$request_method $status'; access_log {log} counts buffer=64k flush=1s;
                 keepalive_requests 1000000000; sendfile on; tcp_nopush on; root {at};
                 server {{
                     listen {address};
                     location /hello {{ return 200 'hello world'; }}
                     location /empty {{ return 204; }}
                     location /sick {{ return 503 'sick'; }}
                 }}
             }}",
            user = "user root;",
            log = log.display(),
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, conf).unwrap();
        fs::write(dir.join("big.bin"), vec![b'x'; 3_000_000]).unwrap();
        let server = Launch::new("nginx", find("nginx").unwrap())
            .args(["-c", &file.display().to_string()])
            .log(&dir.join("nginx.out"))
            .spawn()
            .unwrap();
        poll::until("nginx", PATIENCE, || std::net::TcpStream::connect(address).ok()).unwrap();
        Self { server, address, log }
    }

    /// A URL on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it, and counts what its log holds.
    pub(crate) fn stop(mut self) -> Counts {
        self.server.stop(PATIENCE).unwrap();
        let mut counts = Counts::default();
        for line in fs::read_to_string(&self.log).unwrap().lines() {
            let (method, status) = line.split_once(' ').unwrap();
            let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
            let method = if known.contains(&method) { method } else { "_OTHER" };
            counts.add(method, status.parse().unwrap(), 1);
        }
        counts
    }
}

/// Runs a client to its end.
pub(crate) fn client(program: &str, args: &[&str]) -> String {
    let output = Command::new(find(program).unwrap()).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
