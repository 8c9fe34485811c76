use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn alive(pid: i32) -> bool {
    procfs::process::Process::new(pid)
        .and_then(|process| process.stat())
        .is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// The process ids that a child printed, one a line, once there are `n`.
fn printed(log: &Path, n: usize) -> Vec<i32> {
    poll::until("process ids in the log", PATIENCE, || {
        let text = fs::read_to_string(log).ok()?;
        let ids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (text.ends_with('\n') && ids.len() >= n).then_some(ids)
    })
    .unwrap()
}

#[test]
fn dropping_a_child_ends_its_children_too() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let child =
        Launch::new("family", "sh").args(["-c", "sleep 1000 & echo $!; wait"]).log(&log).spawn().unwrap();
    let grandchild = printed(&log, 1)[0];
    assert!(alive(grandchild));
    drop(child);
    poll::until("the grandchild ends", PATIENCE, || (!alive(grandchild)).then_some(())).unwrap();
}

#[test]
fn a_child_ends_when_the_thread_that_started_it_does() {
    let child = std::thread::spawn(|| Launch::new("orphan", "sleep").args(["1000"]).spawn().unwrap());
    let mut child = child.join().unwrap();
    assert!(child.wait(PATIENCE).is_some(), "still running");
}

#[test]
fn a_child_that_ignores_the_request_to_end_is_killed() {
    use std::os::unix::process::ExitStatusExt as _;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
    let mut child = Launch::new("deaf", "sh").args(["-c", script]).log(&log).spawn().unwrap();
    printed(&log, 1);
    let status = child.stop(Duration::from_millis(50)).unwrap();
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn the_last_lines_of_the_log_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut child = Launch::new("talker", "sh")
        .args(["-c", "echo one; echo two; echo three >&2"])
        .log(&log)
        .spawn()
        .unwrap();
    assert!(child.wait(PATIENCE).unwrap().success());
    assert_eq!(child.log_tail(2), "two\nthree");
}

#[test]
fn a_missing_program_is_named() {
    let error = Launch::new("ghost", "/nonexistent/program").spawn().unwrap_err();
    assert!(error.to_string().starts_with("cannot start ghost (/nonexistent/program): "), "{error}");
}
