//! The program as people run it: exit statuses, and messages that say what to do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

fn agent(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hosp-agent")).args(args).output().unwrap()
}

#[track_caller]
fn ends(output: &Output, status: i32, says: &str) {
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(says), "{says:?} in\n{said}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn help_and_version_succeed() {
    ends(&agent(&["--help"]), 0, "--metrics-listen");
    ends(&agent(&["--version"]), 0, env!("CARGO_PKG_VERSION"));
    ends(&agent(&["completions", "bash"]), 0, "complete -F");
}

#[test]
fn a_bad_command_line_is_64() {
    ends(&agent(&["--nonsense"]), 64, "--nonsense");
    ends(&agent(&["--feed", "nowhere"]), 64, "unix:/absolute/path");
}

#[test]
fn a_bad_configuration_is_78_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "bpf_stats = true\nmetrics = 1\n").unwrap();
    ends(&agent(&["--config", file]), 78, "line 2, column 1");
    ends(&agent(&["check", "--config", file]), 78, "unknown field `metrics`");
    std::fs::write(&path, "bpf_stats = true\n").unwrap();
    ends(&agent(&["check", "--config", file]), 0, "all right");
    ends(&agent(&["check", "--config", "/nonexistent"]), 78, "/nonexistent");
}

#[test]
fn output_that_nobody_takes_is_no_panic() {
    let run = |args: &[&str], out: Stdio, err: Stdio| {
        Command::new(env!("CARGO_BIN_EXE_hosp-agent")).args(args).stdout(out).stderr(err).status().unwrap()
    };
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/agent.toml");
    for args in [&["completions", "zsh"][..], &["check", "--config", config], &["doctor"]] {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let status = run(args, closed.into(), Stdio::null());
        let answered = if args == ["doctor"] { [0, 1].as_slice() } else { &[0] };
        assert!(
            answered.contains(&status.code().unwrap()),
            "a reader that has seen enough: {args:?} {status}"
        );
        assert_eq!(run(args, full(), Stdio::null()).code(), Some(70), "a full disk: {args:?}");
    }
    assert_eq!(run(&["--config", "/nonexistent"], Stdio::null(), full()).code(), Some(78));
}

#[test]
fn without_privileges_it_is_77_and_says_so() {
    if !is_root() {
        return ends(&agent(&[]), 77, "run with sudo");
    }
    // The program may lie where only root may look: a copy where everybody may.
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let copy = dir.path().join("hosp-agent");
    std::fs::copy(env!("CARGO_BIN_EXE_hosp-agent"), &copy).unwrap();
    for path in [dir.path(), &copy] {
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, everybody).unwrap();
    }
    let output = Command::new(&copy).uid(65534).gid(65534).output().unwrap();
    ends(&output, 77, "run with sudo");
}

#[test]
fn a_port_in_use_is_69_and_names_the_flag() {
    if !is_root() {
        eprintln!("skipped: needs root to get as far as binding");
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    ends(&agent(&["--metrics-listen", &address]), 69, "--metrics-listen");
    let dir = tempfile::tempdir().unwrap();
    let feed = format!("unix:{}", dir.path().join("agent.sock").display());
    let cgroup = dir.path().to_str().unwrap();
    let not_a_cgroup = ["--metrics-listen", "127.0.0.1:0", "--feed", &feed, "--cgroup", cgroup];
    ends(&agent(&not_a_cgroup), 69, "with --cgroup");
    assert!(!dir.path().join("agent.sock").exists(), "a failed start leaves nothing behind");
}

/// An agent that has bound its sockets, and may still be attaching.
fn started(dir: &Path, stderr: Stdio) -> (Child, PathBuf) {
    let feed = dir.join("agent.sock");
    let mut child = Command::new(env!("CARGO_BIN_EXE_hosp-agent"))
        .args(["--metrics-listen", "127.0.0.1:0", "--feed", &format!("unix:{}", feed.display())])
        .stderr(stderr)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !feed.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begun.elapsed() < DEADLINE, "it never bound its feed");
        thread::sleep(Duration::from_millis(1));
    }
    (child, feed)
}

fn terminate(mut child: Child) -> ExitStatus {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap()
}

#[test]
fn a_signal_while_it_starts_ends_it_in_order() {
    if !is_root() {
        eprintln!("skipped: needs root to get as far as attaching");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (child, feed) = started(dir.path(), Stdio::inherit());
    assert_eq!(terminate(child).code(), Some(0));
    assert!(!feed.exists(), "it leaves nothing behind");
}

/// What the feed's socket answers to a request for a snapshot.
fn answer(feed: &Path) -> String {
    let mut reader = UnixStream::connect(feed).unwrap();
    reader.set_read_timeout(Some(DEADLINE)).unwrap();
    reader.write_all(b"GET /v1/snapshot HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    reader.read_to_string(&mut answer).unwrap();
    answer
}

/// The nice values of a process's threads, by their names (`proc_pid_stat(5)`).
fn nice_values(pid: u32) -> Vec<(String, i32)> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats =
        threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    stats
        .map(|stat| {
            let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
            (name.to_owned(), rest.split(' ').nth(16).unwrap().parse().unwrap())
        })
        .collect()
}

#[test]
fn only_those_who_take_records_run_ahead_of_the_servers() {
    if !is_root() {
        eprintln!("skipped: needs root to observe");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (child, feed) = started(dir.path(), Stdio::inherit());
    // An answer shows that everything runs, the thread that encodes included.
    answer(&feed);
    let threads = nice_values(child.id());
    let usual = rustix::process::getpriority_process(None).unwrap();
    assert!(threads.contains(&("hosp-owner".to_owned(), usual - 10)), "{threads:?}");
    for name in ["hosp-agent", "tokio-rt-worker"] {
        let mut of = threads.iter().filter(|(thread, _)| thread.starts_with(name)).peekable();
        assert!(of.peek().is_some() && of.all(|(_, nice)| *nice == usual), "{name}: {threads:?}");
    }
    assert_eq!(terminate(child).code(), Some(0));
}

#[test]
fn a_full_disk_behind_its_log_does_not_end_it() {
    if !is_root() {
        eprintln!("skipped: needs root to observe");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (child, feed) = started(dir.path(), full.into());
    let answer = answer(&feed);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(terminate(child).code(), Some(0));
}

#[test]
fn the_doctor_answers_in_json_and_by_its_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let feed = format!("unix:{}", dir.path().join("agent.sock").display());
    let output = agent(&["doctor", "--json", "--metrics-listen", "127.0.0.1:0", "--feed", &feed]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"].as_bool(), Some(output.status.success()));
    assert_eq!(output.status.code(), Some(i32::from(!output.status.success())));
}
