//! A cgroup of our own, so that an observer attached to it sees our processes' sockets and nobody else's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::poll;

/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// A cgroup v2 directory, removed when dropped. Its processes must have been told to end by then.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

/// Why there is no cgroup of our own.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup v2 hierarchy is mounted.
    #[error(
        "no cgroup2 file system in /proc/self/mounts: mount one (`mount -t cgroup2 none /sys/fs/cgroup`)"
    )]
    NoHierarchy,
    /// The mounts could not be read.
    #[error("/proc/self/mounts: {0}")]
    Mounts(io::Error),
    /// The directory could not be made.
    #[error("cannot make the cgroup {}: {source} (it takes root and a writable cgroup v2 hierarchy)", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Cgroup {
    /// Makes `hosp-{purpose}-{pid}` below the root of the cgroup v2 hierarchy.
    pub fn create(purpose: &str) -> Result<Self, CgroupError> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(CgroupError::Mounts)?;
        let root = hierarchy(&mounts).ok_or(CgroupError::NoHierarchy)?;
        let path = root.join(format!("hosp-{purpose}-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path }),
            Err(source) => Err(CgroupError::Create { path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file into which a process writes `0` to move itself here.
    pub(crate) fn procs(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Busy until the last killed process, perhaps a child's child that nobody waits for, is gone.
        let removed = poll::until("its processes are gone", GONE, || match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => None,
            done => Some(done),
        });
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("xtask: cannot remove the cgroup {}: {error}", self.path.display()),
            Err(late) => eprintln!("xtask: cannot remove the cgroup {}: {late}", self.path.display()),
        }
    }
}

/// Mount point of the first cgroup v2 hierarchy in the text of `/proc/self/mounts`.
fn hierarchy(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (mount_point, kind) = (fields.nth(1)?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(mount_point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_on_pure_and_hybrid_hosts() {
        let pure = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let hybrid =
            "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(hierarchy(pure), Some("/sys/fs/cgroup".into()));
        assert_eq!(hierarchy(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(hierarchy("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"), None);
    }
}
