//! Checks of the kernel and of what this process may do with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::Check;
use crate::config::Settings;
use crate::kernel::{Kernel, KernelError, MIN_RING, Options, find_cgroup2, is_cgroup2};
use crate::privileges;

/// Oldest kernel that the programs are made for.
const FLOOR: (u32, u32) = (6, 1);

/// The kernel's version.
pub(super) fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match version(&release) {
        Some(found) if found >= FLOOR => Check::ok("kernel", format!("Linux {release}")),
        Some(_) => Check::fail(
            "kernel",
            format!("Linux {release} is older than {}.{}", FLOOR.0, FLOOR.1),
            "boot a newer kernel: Debian 12, Ubuntu 24.04 and Amazon Linux 2023 have one",
        ),
        None => Check::warn(
            "kernel",
            format!("Linux {release}: a version that is not understood"),
            format!("make sure that it is {}.{} or newer", FLOOR.0, FLOOR.1),
        ),
    }
}

/// `6.1.0-18-amd64` is (6, 1).
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Capabilities.
pub(super) fn privileges() -> Check {
    match privileges::check() {
        Ok(()) => Check::ok("privileges", "may load and attach BPF programs"),
        Err(missing) => Check::fail("privileges", missing.to_string(), "sudo hosp-agent doctor"),
    }
}

fn cgroup_dir(settings: &Settings) -> Option<PathBuf> {
    settings.cgroup.clone().or_else(find_cgroup2)
}

/// The cgroup that would be observed.
pub(super) fn cgroup(settings: &Settings) -> Check {
    let Some(dir) = cgroup_dir(settings) else {
        return Check::fail(
            "cgroup",
            "no cgroup v2 file system is mounted",
            "boot with systemd.unified_cgroup_hierarchy=1, or mount -t cgroup2 none /sys/fs/cgroup",
        );
    };
    let shown = dir.display();
    match is_cgroup2(&dir) {
        Ok(true) => Check::ok("cgroup", format!("cgroup v2 at {shown}")),
        Ok(false) => Check::fail(
            "cgroup",
            format!("{shown} is not within a cgroup v2 file system"),
            "name a directory of one with --cgroup",
        ),
        Err(error) => {
            Check::fail("cgroup", format!("{shown}: {error}"), "name an existing one with --cgroup")
        }
    }
}

/// A cgroup without any process, removed when dropped.
struct EmptyCgroup(PathBuf);

impl EmptyCgroup {
    fn create(below: &Path) -> std::io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let dir = below.join(format!("hosp-doctor-{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed)));
        fs::create_dir(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for EmptyCgroup {
    fn drop(&mut self) {
        // Held by nobody: nothing but a second doctor could keep it.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Whether the kernel takes the programs: loads and attaches them for a moment, to a cgroup that holds no process.
pub(super) fn programs(settings: &Settings) -> Check {
    const NAME: &str = "programs";
    if privileges::check().is_err() {
        return Check::warn(NAME, "not tried: needs privileges", "sudo hosp-agent doctor");
    }
    let Some(dir) = cgroup_dir(settings) else {
        return Check::warn(NAME, "not tried: needs cgroup v2", "see above");
    };
    let cgroup = match EmptyCgroup::create(&dir) {
        Ok(cgroup) => cgroup,
        Err(error) => {
            let detail = format!("not tried: cannot make a cgroup below {}: {error}", dir.display());
            return Check::warn(NAME, detail, "mount cgroup v2 for writing, or start hosp-agent and see");
        }
    };
    let options = Options {
        cgroup: cgroup.0.clone(),
        own_ports: Vec::new(),
        unread: false,
        ports: Vec::new(),
        ring_bytes: MIN_RING,
        bpf_stats: settings.bpf_stats,
    };
    let attached = Kernel::attach(&options);
    match attached {
        Ok(_) => Check::ok(NAME, "the kernel loads and attaches every BPF program"),
        Err(error @ KernelError::NotPermitted { .. }) => Check::fail(
            NAME,
            error.to_string(),
            "in a container: run it privileged in the host's namespaces; elsewhere: see lockdown, SELinux, AppArmor",
        ),
        Err(error) => {
            Check::fail(NAME, error.to_string(), "report this with `uname -a`; it is a bug in hosp-agent")
        }
    }
}

/// The kernel's lockdown.
pub(super) fn lockdown() -> Check {
    match fs::read_to_string("/sys/kernel/security/lockdown") {
        Ok(modes) if modes.contains("[confidentiality]") => Check::warn(
            "lockdown",
            "the kernel is locked down for confidentiality, which restricts BPF",
            "boot with lockdown=integrity, should the programs be refused",
        ),
        Ok(modes) => Check::ok("lockdown", format!("no obstacle: {}", modes.trim())),
        Err(_) => Check::ok("lockdown", "not in use"),
    }
}

/// BPF's just-in-time compiler.
pub(super) fn jit() -> Check {
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").as_deref().map(str::trim) {
        Ok("0") => Check::warn(
            "jit",
            "BPF programs are interpreted: several times slower",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        Ok(_) => Check::ok("jit", "BPF programs run compiled"),
        Err(_) => Check::ok("jit", "compiled where the kernel says nothing else"),
    }
}

/// Whether the owner of a socket can be found out.
pub(super) fn processes() -> Check {
    match fs::read_dir("/proc/1/fd") {
        Ok(_) => Check::ok("processes", "may see which process owns a socket"),
        Err(error) => Check::warn(
            "processes",
            format!("cannot see which process owns a socket: {error}; services go by their port"),
            "grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and mount /proc without hidepid",
        ),
    }
}
