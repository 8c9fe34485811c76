//! `cargo xtask chaos` and its rig, small: the faults are on the wire, the books are right, and hosp-proxy takes part.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use xtask::chaos_rig::report::Report;
use xtask::child::Launch;
use xtask::{poll, ports};

const PATIENCE: Duration = Duration::from_secs(120);

/// Clients that talk to the origin itself: every fault reaches them.
fn without_proxy(scenario: &str, requests: u32) -> Report {
    let [origin] = ports::free().unwrap();
    rig(scenario, requests, origin, origin)
}

/// What the clients of `target`, whose origin is at `origin`, got.
fn rig(scenario: &str, requests: u32, target: SocketAddr, origin: SocketAddr) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let mut rig = Launch::new("chaos-rig", env!("CARGO_BIN_EXE_chaos-rig"))
        .args(["--scenario", scenario, "--requests", &requests.to_string()])
        .args([&format!("--contender=x={target},{origin}"), "--report", path.to_str().unwrap()])
        .spawn()
        .unwrap();
    assert!(rig.wait(PATIENCE).expect("the rig ends").success());
    let reports: Vec<Report> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    reports.into_iter().next().unwrap()
}

/// nginx on `listen`, told to repeat whatever fails, writes included. Only the scenario `writes` fits its time-out.
const RECKLESS: &str = "
daemon off;
user root;
worker_processes 1;
pid @DIR@/pid;
error_log stderr crit;
events {}
http {
    access_log off;
    client_body_temp_path @DIR@/b;
    proxy_temp_path @DIR@/p;
    fastcgi_temp_path @DIR@/f;
    uwsgi_temp_path @DIR@/u;
    scgi_temp_path @DIR@/s;
    upstream origin { server @ORIGIN@ max_fails=0; server @ORIGIN@ max_fails=0; server @ORIGIN@ max_fails=0; }
    server {
        listen @LISTEN@;
        proxy_read_timeout 2200ms;
        proxy_next_upstream error timeout http_500 http_502 http_503 http_504 non_idempotent;
        location / { proxy_pass http://origin; }
    }
}
";

fn kinds(report: &Report) -> Vec<&str> {
    report.failures.keys().map(String::as_str).collect()
}

#[test]
fn resets_and_garbage_reach_a_client_without_a_proxy() {
    let report = without_proxy("resets", 400);
    assert_eq!(kinds(&report), ["garbled", "no answer"]);
    assert_eq!(report.all().attempts, 400);
    assert_eq!(report.all().requests - report.all().served, report.failures.values().sum::<u64>());
    assert_eq!((report.duplicates, report.lost_writes, report.garbled_requests), (0, 0, 0));
}

#[test]
fn cut_bodies_look_cut_and_never_wrong() {
    let report = without_proxy("cut-bodies", 300);
    assert_eq!(kinds(&report), ["cut"]);
    assert_eq!(report.wrong_bodies, 0);
}

#[test]
fn connections_are_refused_and_accepted_again() {
    let report = without_proxy("refused", 1000);
    assert!(report.failures["no connection"] > 0, "{report:?}");
    assert!(report.all().served > 800, "{report:?}");
}

#[test]
fn a_proxy_that_repeats_writes_is_caught() {
    const NGINX: &str = "/usr/sbin/nginx";
    if !Path::new(NGINX).exists() {
        assert!(std::env::var_os("CI").is_none(), "nginx is missing: `cargo xtask setup test` installs it");
        println!("skipped: nginx is missing; `cargo xtask setup test` installs it");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [listen, origin] = ports::free().unwrap();
    let config = RECKLESS
        .replace("@DIR@", dir.path().to_str().unwrap())
        .replace("@ORIGIN@", &origin.to_string())
        .replace("@LISTEN@", &listen.to_string());
    let path = dir.path().join("nginx.conf");
    fs::write(&path, config).unwrap();
    let _nginx =
        Launch::new("nginx", NGINX).args(["-e", "stderr", "-c", path.to_str().unwrap()]).spawn().unwrap();
    poll::until("nginx listens", PATIENCE, || TcpStream::connect(listen).ok()).unwrap();

    let report = rig("writes", 400, listen, origin);
    // Writes without a key were applied again; the origin itself saw to it that those with one were not.
    assert!(report.duplicates > 0, "{report:?}");
    assert_eq!(report.duplicates, report.writes.attempts - report.writes.requests, "{report:?}");
    assert!(report.keyed_writes.attempts > report.keyed_writes.requests, "{report:?}");
}

#[test]
fn hosp_proxy_takes_part() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["chaos", "resets", "--requests", "200", "--only", "hosp-proxy", "--unoptimised", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let finished: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reports: Vec<Report> = serde_json::from_value(finished[0]["reports"].clone()).unwrap();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.contender, "hosp-proxy");
    assert_eq!(report.all().requests, 200);
    // Each read that was reset or garbled was tried again.
    assert_eq!(report.reads.served, report.reads.requests, "{report:?}");
    assert!(report.reads.attempts > report.reads.requests, "{report:?}");
    assert_eq!((report.wrong_bodies, report.duplicates, report.lost_writes), (0, 0, 0), "{report:?}");
}
