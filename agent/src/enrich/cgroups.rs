//! What runs in which control group: walks the cgroup v2 file system, and reads units and containers out of its paths.
//!
//! The kernel names a cgroup by the inode number of its directory, which nothing but the walk turns into a path.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::process;

/// Most cgroups that are looked at, so that a host with very many costs a bounded time.
const MAX_CGROUPS: usize = 16 * 1024;

/// Longest name of a unit, in bytes.
const MAX_NAME: usize = 80;

/// Hexadecimal digits of a container's id, and how many of them are shown, as its tools do.
const CONTAINER_ID: usize = 64;
const SHOWN: usize = 12;

/// The units of all cgroups below `root`, by inode number.
pub(super) fn walk(root: &Path) -> HashMap<u64, Arc<str>> {
    let mut units = HashMap::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        if units.len() >= MAX_CGROUPS {
            break;
        }
        // Gone since its parent was read.
        let Ok(inode) = fs::metadata(&dir).map(|metadata| metadata.ino()) else { continue };
        let path = dir.strip_prefix(root).unwrap_or(&dir);
        units.insert(inode, unit(path));
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(below.map(|entry| entry.path()));
    }
    units
}

/// What a cgroup is called: the container or the systemd unit that it belongs to, the innermost that its path tells;
/// else the path.
fn unit(path: &Path) -> Arc<str> {
    let names = || path.iter().rev().map(|name| name.as_encoded_bytes());
    if let Some(id) = names().find_map(container) {
        return format!("container:{id}").into();
    }
    let of_systemd = |name: &&[u8]| name.ends_with(b".service") || name.ends_with(b".scope");
    let name = names().find(of_systemd).and_then(|name| process::sanitise(name, MAX_NAME));
    name.or_else(|| process::sanitise(&[b"/", path.as_os_str().as_encoded_bytes()].concat(), MAX_NAME))
        .unwrap_or_default()
        .into()
}

/// The beginning of the id in a directory's name such as `docker-<id>.scope`, `cri-containerd-<id>.scope` or `<id>`.
fn container(name: &[u8]) -> Option<&str> {
    let end = name.strip_suffix(b".scope").unwrap_or(name);
    let start = end.len().checked_sub(CONTAINER_ID)?;
    let (before, id) = end.split_at(start);
    let whole = id.iter().all(u8::is_ascii_hexdigit) && before.last().is_none_or(|&byte| byte == b'-');
    whole.then(|| std::str::from_utf8(&id[..SHOWN]).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_containers_are_read_out_of_paths() {
        let id = "0123456789abcdef".repeat(4);
        for (path, want) in [
            ("", "/"),
            ("system.slice/nginx.service", "nginx.service"),
            ("system.slice/nginx.service/workers", "nginx.service"),
            ("user.slice/user-1000.slice/user@1000.service/app.slice/dev.service", "dev.service"),
            ("user.slice/user-0.slice/session-3.scope", "session-3.scope"),
            (&format!("system.slice/docker-{id}.scope"), "container:0123456789ab"),
            (&format!("docker/{id}"), "container:0123456789ab"),
            (
                &format!("kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
                "container:0123456789ab",
            ),
            (&format!("machine.slice/libpod-{id}.scope/container"), "container:0123456789ab"),
            (&format!("odd{id}"), &format!("/odd{id}")),
            ("system.slice/a b\"\n.service", "a_b__.service"),
            ("custom/group", "/custom/group"),
        ] {
            assert_eq!(&*unit(Path::new(path)), want, "{path}");
        }
    }

    #[test]
    fn every_cgroup_is_found_by_its_inode() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("system.slice/web.service");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("cgroup.procs"), "").unwrap();
        let units = walk(root.path());
        assert_eq!(units.len(), 3);
        assert_eq!(&*units[&fs::metadata(&dir).unwrap().ino()], "web.service");
        assert!(walk(Path::new("/nonexistent")).is_empty());
    }
}
