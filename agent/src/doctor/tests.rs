//! The doctor's verdicts, on this machine and on made-up troubles.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use super::*;
use crate::args::Options;
use crate::endpoint::Endpoint;

fn settings(dir: &std::path::Path) -> Settings {
    Settings::load(&Options {
        metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
        feed: Some(Endpoint::Unix(dir.join("agent.sock"))),
        proxy: Some(Endpoint::Unix(dir.join("proxy.sock"))),
        ..Options::default()
    })
    .unwrap()
}

fn status(report: &Report, name: &str) -> Status {
    report.checks.iter().find(|check| check.check == name).unwrap().status
}

#[test]
fn kernel_versions() {
    for (release, want) in [
        ("6.1.0-18-amd64", Some((6, 1))),
        ("6.18.44", Some((6, 18))),
        ("5.15.0-1051-aws", Some((5, 15))),
        ("7.0-rc1", Some((7, 0))),
        ("weird", None),
    ] {
        assert_eq!(host::version(release), want, "{release}");
    }
}

#[test]
fn the_report_is_stable_json() {
    let dir = tempfile::tempdir().unwrap();
    let report = examine(&settings(dir.path()));
    let parsed: serde_json::Value = serde_json::from_str(&report.text(true)).unwrap();
    let names: Vec<_> = parsed["checks"].as_array().unwrap().iter().map(|check| &check["check"]).collect();
    assert_eq!(
        names,
        [
            "kernel",
            "privileges",
            "cgroup",
            "programs",
            "lockdown",
            "jit",
            "processes",
            "metrics",
            "feed",
            "proxy"
        ]
    );
    for check in parsed["checks"].as_array().unwrap() {
        assert!(["ok", "warn", "fail"].contains(&check["status"].as_str().unwrap()));
        let remedied = check["status"] == "ok" || check["fix"].is_string();
        assert!(remedied, "what is not ok comes with a remedy: {check}");
    }
    assert_eq!(parsed["ok"], report.healthy());
}

#[test]
fn the_programs_load_wherever_they_may_be_tried() {
    let dir = tempfile::tempdir().unwrap();
    let report = examine(&settings(dir.path()));
    assert_ne!(status(&report, "programs"), Status::Fail, "{:?}", report.checks);
    let permitted = status(&report, "privileges") == Status::Ok;
    assert_eq!(report.healthy(), permitted && status(&report, "cgroup") == Status::Ok);
}

#[test]
fn a_missing_proxy_is_no_obstacle_and_every_line_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let report = examine(&settings(dir.path()));
    assert_eq!(status(&report, "proxy"), Status::Warn);
    assert_eq!(status(&report, "metrics"), Status::Ok);
    assert_eq!(status(&report, "feed"), Status::Ok);
    let text = report.text(false);
    assert!(text.lines().any(|line| line.starts_with("warn  proxy")), "{text}");
    assert!(!dir.path().join("agent.sock").exists(), "looking leaves nothing behind");
}

#[test]
fn sockets_in_use_fail_with_the_flag_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let _feed = UnixListener::bind(dir.path().join("agent.sock")).unwrap();
    let settings = Settings { metrics: Endpoint::Tcp(taken.local_addr().unwrap()), ..settings(dir.path()) };
    let report = examine(&settings);
    assert!(!report.healthy());
    for (name, flag) in [("metrics", "--metrics-listen"), ("feed", "--feed")] {
        let check = report.checks.iter().find(|check| check.check == name).unwrap();
        assert_eq!(check.status, Status::Fail);
        assert!(check.fix.as_ref().unwrap().contains(flag), "{check:?}");
    }
}

#[test]
fn a_directory_that_is_no_cgroup_fails() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { cgroup: Some(dir.path().to_owned()), ..settings(dir.path()) };
    assert_eq!(status(&examine(&settings), "cgroup"), Status::Fail);
}

#[test]
fn a_request_log_is_checked_where_there_is_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = |path: std::path::PathBuf| {
        let settings = Settings { request_log: Some(path), ..settings(dir.path()) };
        status(&examine(&settings), "request-log")
    };
    assert_eq!(log(dir.path().join("requests.jsonl")), Status::Ok);
    assert_eq!(log(dir.path().join("missing/requests.jsonl")), Status::Fail);
    assert_eq!(log(dir.path().to_owned()), Status::Fail);
    assert!(!dir.path().join("requests.jsonl").exists(), "looking leaves nothing behind");
}
