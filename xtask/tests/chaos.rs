//! `cargo xtask chaos` and its rig, small: the faults are on the wire, the books are right, and hosp-proxy takes part.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use xtask::chaos_rig::report::Report;
use xtask::child::Launch;
use xtask::ports;

const PATIENCE: Duration = Duration::from_secs(120);

/// Clients that talk to the origin itself: every fault reaches them.
fn without_proxy(scenario: &str, requests: u32) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let [origin] = ports::free().unwrap();
    let mut rig = Launch::new("chaos-rig", env!("CARGO_BIN_EXE_chaos-rig"))
        .args(["--scenario", scenario, "--requests", &requests.to_string()])
        .args([&format!("--contender=direct={origin},{origin}"), "--report", path.to_str().unwrap()])
        .spawn()
        .unwrap();
    assert!(rig.wait(PATIENCE).expect("the rig ends").success());
    let reports: Vec<Report> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    reports.into_iter().next().unwrap()
}

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
