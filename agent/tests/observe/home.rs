//! A cgroup that this process moves into, so that an agent on it sees the test's own sockets and nobody else's.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::cgroup::Cgroup;

/// This process in a cgroup of its own, until dropped. Sockets belong to the cgroup in which they were made.
pub(crate) struct Home {
    from: PathBuf,
    pub(crate) cgroup: Cgroup,
}

impl Home {
    pub(crate) fn enter() -> Self {
        let cgroup = Cgroup::create("observe").unwrap();
        let root = cgroup.path().parent().unwrap();
        let all = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = all.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
        let from = root.join(own);
        move_to(cgroup.path());
        Self { from, cgroup }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        move_to(&self.from);
    }
}

/// Moves this process, all of its threads.
fn move_to(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), "0").unwrap();
}
