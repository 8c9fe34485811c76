//! Installing Debian packages without starting any of the servers in them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::steps::step;

/// Asked by every Debian package before it starts a service; exit status 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs packages; refreshes the lists once if the first try fails (a package is unknown, or a version is
/// gone from the mirror).
pub(super) fn install(packages: &[&str]) -> anyhow::Result<()> {
    // nginx or prometheus started by their package would take the very ports that tests and demo are about.
    let _policy = NoServices::declare(Path::new(POLICY)).with_context(|| format!("cannot write {POLICY}"))?;
    let what = format!("apt-get install {}", packages.join(" "));
    if step(&what, apt("install").arg("--no-install-recommends").args(packages)).is_ok() {
        return Ok(());
    }
    step("apt-get update", &mut apt("update"))?;
    step(&what, apt("install").arg("--no-install-recommends").args(packages))
}

fn apt(verb: &str) -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").args([verb, "--yes", "--quiet"]);
    apt
}

/// While this lives, no package starts a service.
struct NoServices {
    /// The policy that we wrote; `None` where the machine has one of its own, which stays in force.
    ours: Option<PathBuf>,
}

impl NoServices {
    fn declare(policy: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(policy);
        let mut file = match file {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Self { ours: None }),
            file => file?,
        };
        // It forbids only as long as this process lives: one that was killed leaves nothing in force.
        let pid = std::process::id();
        write!(
            file,
            "#!/bin/sh\n# by `cargo xtask setup`; may be removed\n[ -d /proc/{pid} ] && exit 101\nexit 0\n"
        )?;
        Ok(Self { ours: Some(policy.to_path_buf()) })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.ours
            && let Err(error) = fs::remove_file(policy)
        {
            eprintln!("setup: cannot remove {}: {error}", policy.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_forbidden_exactly_while_packages_are_installed() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        let guard = NoServices::declare(&policy).unwrap();
        let asked = Command::new("sh").arg(&policy).args(["nginx", "start"]).status().unwrap();
        assert_eq!(asked.code(), Some(101));
        drop(guard);
        assert!(!policy.exists());
    }

    #[test]
    fn a_policy_of_the_machines_own_stays() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        fs::write(&policy, "theirs").unwrap();
        drop(NoServices::declare(&policy).unwrap());
        assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");
    }
}
