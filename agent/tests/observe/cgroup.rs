//! What becomes of the agent when the cgroup that it observes goes away.

use std::path::PathBuf;

use xtask::child::Launch;
use xtask::poll;

use crate::rig::{PATIENCE, runnable};

/// A cgroup of its own, removed when dropped.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn an_agent_whose_cgroup_is_removed_says_so_and_ends() {
    if !runnable(&[]) {
        return;
    }
    let root = hosp_agent::kernel::find_cgroup2().unwrap();
    let cgroup = Cgroup(root.join(format!("hosp-test-{}", std::process::id())));
    std::fs::create_dir(&cgroup.0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (feed, log) = (dir.path().join("agent.sock"), dir.path().join("agent.log"));
    let mut agent = Launch::new("hosp-agent", env!("CARGO_BIN_EXE_hosp-agent"))
        .args(["--metrics-listen", "127.0.0.1:0", "--feed", &format!("unix:{}", feed.display())])
        .args(["--cgroup", cgroup.0.to_str().unwrap()])
        .log(&log)
        .spawn()
        .unwrap();
    let observing = || std::fs::read_to_string(&log).ok()?.contains("observing").then_some(());
    poll::until("the agent observes", PATIENCE, observing).unwrap();
    std::fs::remove_dir(&cgroup.0).unwrap();
    let status = agent.wait(PATIENCE).expect("it ends by itself");
    assert_eq!(status.code(), Some(70));
    assert!(agent.log_tail(5).contains("has been removed"), "{}", agent.log_tail(5));
    assert!(!feed.exists());
}
