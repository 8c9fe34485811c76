//! The program itself: signals, exit statuses and messages.

use std::io::Read;
use std::net::TcpListener;
use std::process::Output;

use crate::support::{Client, Origin, Reply, Running, eventually, get, ok, program, raw};

fn output(args: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = program().args(args).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn sigterm_finishes_what_is_under_way_and_exits_0() {
    let (release, gate) = std::sync::mpsc::channel();
    let gate = std::sync::Mutex::new(Some(gate));
    let origin = Origin::new(move |_| Reply::Wait(gate.lock().unwrap().take().unwrap(), ok("whole")));
    let folder = tempfile::tempdir().unwrap();
    let admin = format!("unix:{}", folder.path().join("new/proxy.sock").display());
    let args = ["--listen", "127.0.0.1:0", "--origin", &origin.url(), "--admin", &admin, "--access-log"];
    let mut running = Running::start(&args);
    let mut client = Client::connect(running.address);
    client.send(raw("GET", "/path?secret=1", &[], ""));
    eventually("the request is at the origin", || origin.hits() == 1);
    running.signal("TERM");
    eventually("it takes no more", || std::net::TcpStream::connect(running.address).is_err());
    release.send(()).unwrap();
    assert_eq!(client.answer().text(), "whole");
    let mut stdout = running.child.stdout.take().unwrap();
    let mut access = String::new();
    stdout.read_to_string(&mut access).unwrap();
    assert_eq!(access.lines().count(), 1, "{access}");
    let line: serde_json::Value = serde_json::from_str(&access).unwrap();
    assert_eq!((line["path"].as_str(), line["status"].as_u64()), (Some("/path"), Some(200)));
    assert!(!access.contains("secret"));
    let (code, log) = running.end();
    assert_eq!(code, 0, "{log}");
    assert!(!folder.path().join("new/proxy.sock").exists(), "the socket's file goes with the program");
}

#[test]
fn a_second_signal_stops_at_once() {
    let (_hold, never) = std::sync::mpsc::channel();
    let never = std::sync::Mutex::new(Some(never));
    let origin = Origin::new(move |_| Reply::Wait(never.lock().unwrap().take().unwrap(), vec![]));
    let running =
        Running::start(&["--listen", "127.0.0.1:0", "--origin", &origin.url(), "--admin", "127.0.0.1:0"]);
    let mut client = Client::connect(running.address);
    client.send(raw("GET", "/", &[], ""));
    eventually("the request is at the origin", || origin.hits() == 1);
    running.signal("INT");
    eventually("it takes no more", || std::net::TcpStream::connect(running.address).is_err());
    running.signal("TERM");
    let (code, log) = running.end();
    assert_eq!(code, 1, "{log}");
}

#[test]
fn sighup_reloads_and_a_bad_configuration_is_refused() {
    let old = Origin::new(|_| Reply::Send(ok("old")));
    let new = Origin::new(|_| Reply::Send(ok("new")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let write = |origin: &Origin, more: &str| {
        let text = format!("listen = ['127.0.0.1:0']\norigins = ['{}']\n{more}", origin.url());
        std::fs::write(&path, text).unwrap();
    };
    write(&old, "");
    let mut running = Running::start(&["--config", path.to_str().unwrap(), "--admin", "127.0.0.1:0"]);
    let admin = running.told("admin interface");
    let admin = admin.trim().rsplit_once("admin=").unwrap().1.parse().unwrap();
    let mut client = Client::connect(running.address);
    let mut ask = || client.send(raw("GET", "/", &[], "")).answer().text();
    assert_eq!(ask(), "old");

    write(&new, "colour = 1");
    running.signal("HUP");
    let line = running.told("configuration refused; the old one stays");
    assert!(line.contains("proxy.toml:3:1: unknown field `colour`"), "{line}");
    write(&new, "workers = 7");
    running.signal("HUP");
    running.told("workers cannot be changed by a reload");
    assert_eq!(ask(), "old");

    write(&new, "");
    running.signal("HUP");
    running.told("configuration reloaded changed=\"origins\"");
    eventually("the new origin is asked", || ask() == "new");
    running.signal("HUP");
    running.told("configuration reloaded changed=\"nothing\"");
    for line in ["{result=\"applied\"} 2", "{result=\"refused\"} 2"] {
        let metrics = get(admin, "/metrics", &[]).text();
        assert!(metrics.contains(&format!("hosp_proxy_reloads_total{line}\n")), "{metrics}");
    }
    running.signal("TERM");
    assert_eq!(running.end().0, 0);
}

#[test]
fn mistakes_have_their_exit_status_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "workers = 1\nworker = 2\n").unwrap();
    let good = folder.path().join("good.toml");
    std::fs::write(&good, include_str!("../data/full.toml")).unwrap();
    let (bad, good) = (bad.to_str().unwrap(), good.to_str().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below_file = format!("unix:{}/proxy.sock", file.display());

    let check = |args: &[&str], code: i32, part: &str| {
        let (got, text) = output(args);
        assert_eq!(got, code, "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
    };
    check(&["--version"], 0, env!("CARGO_PKG_VERSION"));
    check(&["--help"], 0, "Examples:");
    check(&["completions", "bash"], 0, "complete -F");
    check(&["check", "--config", good], 0, "good");
    check(
        &["check", "--config", good, "--explain", "POST /patients/1/notes"],
        0,
        "tries        3  [the route]",
    );
    check(&["check", "--config", good, "--explain", "POST"], 64, "method and path");
    check(&["check", "--config", bad], 78, "bad.toml:2:1: unknown field");
    check(&["check", "--config", "/nonexistent.toml"], 78, "cannot read");
    check(&["--config", bad], 78, "bad.toml:2:1");
    check(&["--listen", "127.0.0.1:0"], 64, "--origin");
    check(&["--listen", "here", "--origin", "http://a"], 64, "--listen");
    check(&["--listen", "127.0.0.1:0", "--origin", "ftp://a"], 64, "http://");
    check(&["--listen", &taken, "--origin", "http://a", "--admin", "127.0.0.1:0"], 1, "is in use");
    check(&["--listen", "127.0.0.1:0", "--origin", "http://a", "--admin", &below_file], 1, "--admin");
}
