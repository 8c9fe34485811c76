//! demo-origin and demo-load keep the same books, whatever the faults: the demo's verdict rests on it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use xtask::child::{Launch, Running};
use xtask::endpoint::Endpoint;
use xtask::load::LoadReport;
use xtask::origin::OriginReport;
use xtask::poll;

const PATIENCE: Duration = Duration::from_secs(60);

struct Origin {
    admin: Endpoint,
    _child: Running,
}

impl Origin {
    fn start(dir: &Path, flags: &[&str]) -> Self {
        let socket = dir.join("origin.sock");
        let child = Launch::new("demo-origin", env!("CARGO_BIN_EXE_demo-origin"))
            .args(["--listen", "127.0.0.1:0", "--admin", socket.to_str().unwrap()])
            .args(flags)
            .spawn()
            .unwrap();
        Self { admin: Endpoint::Unix(socket), _child: child }
    }

    fn report(&self) -> OriginReport {
        poll::until("the origin answers", PATIENCE, || self.admin.get_json("/__counts").ok()).unwrap()
    }

    /// The books once nothing is under way: the origin learns of an end a moment after the client.
    fn closed_books(&self) -> OriginReport {
        poll::until("the origin's books close", PATIENCE, || {
            Some(self.report()).filter(|books| books.open == 0)
        })
        .unwrap()
    }
}

fn load(dir: &Path, origin: &Origin, flags: &[&str]) -> (Running, std::path::PathBuf) {
    let report = dir.join("load.json");
    let child = Launch::new("demo-load", env!("CARGO_BIN_EXE_demo-load"))
        .args(["--target", &origin.report().listen.to_string(), "--report", report.to_str().unwrap()])
        .args(flags)
        .spawn()
        .unwrap();
    (child, report)
}

fn finished((mut child, report): (Running, std::path::PathBuf)) -> LoadReport {
    assert!(child.wait(PATIENCE).expect("demo-load ends").success());
    serde_json::from_slice(&fs::read(report).unwrap()).unwrap()
}

#[test]
fn both_count_the_same_requests_by_method_and_status_through_errors_and_resets() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::start(dir.path(), &["--errors", "0.2", "--resets", "0.1", "--time-scale", "0.001"]);
    let sent = finished(load(dir.path(), &origin, &["--rate", "1000", "--seconds", "2"]));
    let received = origin.closed_books();

    assert_eq!(sent.counts.differences(&received.counts), []);
    assert!(sent.sent > 1500, "{}", sent.sent);
    assert_eq!(sent.outcome("unanswered"), received.resets);
    assert!(received.resets > 0 && sent.counts.of_status(|s| s >= 500) > 0, "no fault was drawn");
    assert_eq!(received.notes_repeated, 0, "without retries no note is written twice");
}

#[test]
fn requests_given_up_by_the_client_count_as_abandoned() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::start(dir.path(), &["--errors", "0", "--resets", "0", "--time-scale", "1"]);
    let sent =
        finished(load(dir.path(), &origin, &["--rate", "100", "--seconds", "0.5", "--timeout", "300ms"]));
    let received = origin.closed_books();

    assert!(sent.sent > 20, "{}", sent.sent);
    assert_eq!(sent.outcome("timed_out"), sent.sent);
    assert_eq!((received.abandoned, received.requests()), (sent.sent, sent.sent));
}

#[test]
fn told_to_end_the_generator_finishes_what_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::start(dir.path(), &["--errors", "0", "--resets", "0", "--time-scale", "0.05"]);
    let running = load(dir.path(), &origin, &["--rate", "200"]);
    poll::until("requests under way", PATIENCE, || (origin.report().open > 10).then_some(())).unwrap();
    running.0.terminate();
    let sent = finished(running);

    assert_eq!(sent.outcome("answered"), sent.sent);
    assert_eq!(origin.closed_books().requests(), sent.sent);
}

#[test]
fn the_same_seed_fails_alike() {
    let counts = || {
        let dir = tempfile::tempdir().unwrap();
        let origin = Origin::start(dir.path(), &["--seed", "5", "--errors", "0.3", "--time-scale", "0"]);
        let sent = finished(load(dir.path(), &origin, &["--seed", "9", "--rate", "500", "--seconds", "1"]));
        let failed = sent.counts.of_status(|status| status >= 500);
        (sent.sent, failed, origin.closed_books().resets)
    };
    assert_eq!(counts(), counts());
}

#[test]
fn without_a_server_every_request_is_told_as_unsent() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::start(dir.path(), &[]);
    let target = origin.report().listen;
    drop(origin);
    let report = dir.path().join("load.json");
    let child = Launch::new("demo-load", env!("CARGO_BIN_EXE_demo-load"))
        .args(["--target", &target.to_string(), "--report", report.to_str().unwrap()])
        .args(["--rate", "100", "--seconds", "0.3"])
        .spawn()
        .unwrap();
    let sent = finished((child, report));
    assert_eq!(sent.sent, 0);
    assert!(sent.outcome("unsent") > 10, "{:?}", sent.outcomes);
}
