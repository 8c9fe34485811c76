//! The real binary without a terminal: reports, exit codes, completions.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

#[path = "support/server.rs"]
mod server;
#[path = "support/traffic.rs"]
mod traffic;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use server::Server;

fn hosp_tui(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hosp-tui")).args(args).output().unwrap()
}

/// Two agents on sockets of their own.
fn fleet() -> (TempDir, [String; 2], [Server; 2]) {
    let dir = TempDir::new().unwrap();
    let paths = ["a.sock", "b.sock"].map(|name| dir.path().join(name));
    let servers = [(0, "web-1", 1), (1, "web-2", 2)].map(|(place, host, pid): (usize, _, _)| {
        Server::agent(&paths[place], traffic::Agent::new(host, pid), Duration::from_secs(1))
    });
    let addresses = paths.map(|path| format!("unix:{}", path.display()));
    (dir, addresses, servers)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn once_json_is_one_object_whose_totals_are_the_agents_own() {
    let (_dir, [a, b], _servers) = fleet();
    let output = hosp_tui(&["--agent", &a, "--agent", &b, "--once", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The servers make the same traffic at each run: here are their first seconds again.
    let expect: u64 = [("web-1", 1), ("web-2", 2)]
        .into_iter()
        .flat_map(|(host, pid)| traffic::Agent::new(host, pid).second().series)
        .filter(|series| series.key.leg == hosp_feed::Leg::Server)
        .map(|series| series.total)
        .sum();
    assert_eq!(report["version"], 1);
    assert_eq!(report["service"], "hosp-proxy");
    assert_eq!(report["legs"]["server"]["requests"], expect);
    assert_eq!(report["books"]["balanced"], true);
    assert_eq!(report["agents"][1]["host"], "web-2");
}

#[test]
fn once_is_a_table_without_control_characters() {
    let (_dir, [a, _], _servers) = fleet();
    let output = hosp_tui(&["--agent", &a, "--once"]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    assert!(
        table.contains("server leg") && table.contains("success") && table.contains("balanced"),
        "{table}"
    );
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table}");
}

#[test]
fn an_agent_that_cannot_be_reached_is_named_and_the_others_are_reported() {
    let (dir, [a, _], _servers) = fleet();
    let missing = format!("unix:{}", dir.path().join("missing.sock").display());
    let output = hosp_tui(&["--agent", &missing, "--agent", &a, "--once", "--json"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        text(&output.stderr).contains(&format!("cannot connect to {missing}")),
        "{}",
        text(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["agents"][0]["error"].is_string() && report["agents"][1]["error"].is_null());
    assert!(report["legs"]["server"]["requests"].as_u64().unwrap() > 0);
}

#[test]
fn an_agent_of_another_version_is_not_waited_for() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("agent.sock");
    let _server = Server::raw(&path, |mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"version\":9}").await;
    });
    let output = hosp_tui(&["--agent", &format!("unix:{}", path.display()), "--once"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("feed version 9"), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_hostile_feed_cannot_speak_to_the_terminal() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("agent.sock");
    let _server = Server::raw(&path, |mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // An outcome that does not exist: the message about it repeats it.
        let mut snapshot = serde_json::to_value(traffic::Agent::new("web-1", 1).second()).unwrap();
        snapshot["series"][0]["outcome"] = "\u{1b}]0;owned\u{7}\u{9b}2J".into();
        let line = snapshot.to_string();
        let _ = stream.read(&mut [0; 1024]).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", line.len());
        let _ = stream.write_all(&[head.as_bytes(), line.as_bytes()].concat()).await;
    });
    let output = hosp_tui(&["--agent", &format!("unix:{}", path.display()), "--once"]);
    assert_eq!(output.status.code(), Some(69));
    let told = text(&output.stderr);
    assert!(told.contains("owned"), "{told}");
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
}

#[test]
fn when_nobody_can_be_told_the_exit_code_still_says_it() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status =
        Command::new(env!("CARGO_BIN_EXE_hosp-tui")).stdout(Stdio::null()).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(64));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_hosp-tui"))
        .args(["completions", "zsh"])
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn without_a_terminal_the_live_view_points_at_once() {
    let output = hosp_tui(&[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--once"), "{}", text(&output.stderr));
}

#[test]
fn an_agent_that_is_named_twice_would_count_twice_and_is_refused() {
    let output = hosp_tui(&["--once", "--agent", "unix:/a", "--agent", "b:1", "--agent", "unix:/a"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--agent unix:/a"), "{}", text(&output.stderr));
}

#[test]
fn usage_help_version_and_completions() {
    assert_eq!(hosp_tui(&["--window", "7s"]).status.code(), Some(64));
    for args in [&["--help"][..], &["--version"], &["completions", "bash"]] {
        let output = hosp_tui(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text(&output.stdout).contains("hosp-tui"), "{args:?}");
    }
}
