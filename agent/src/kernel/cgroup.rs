//! Where the cgroup v2 file system is mounted, and whether a directory is of it.

use std::io;
use std::path::{Path, PathBuf};

/// `CGROUP2_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// Root of the cgroup v2 file system: `/sys/fs/cgroup`, or below it where version 1 is mounted beside it.
/// Nothing when none is mounted.
pub fn find() -> Option<PathBuf> {
    parse(&std::fs::read_to_string("/proc/self/mounts").ok()?)
}

/// Whether `path` lies within a cgroup v2 file system.
pub fn is_cgroup2(path: &Path) -> io::Result<bool> {
    let stat = rustix::fs::statfs(path)?;
    #[expect(clippy::useless_conversion, reason = "the field's type differs between architectures")]
    let magic = i64::from(stat.f_type);
    Ok(magic == CGROUP2_MAGIC)
}

/// The first mount of type `cgroup2` in the form of `/proc/self/mounts` (see `fstab(5)`).
fn parse(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, dir, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| Path::new(&unescape(dir)).to_owned())
    })
}

/// A space within a path is written `\040`.
fn unescape(dir: &str) -> String {
    dir.replace("\\040", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_cgroup_mount_is_found() {
        assert_eq!(parse("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"), Some("/sys/fs/cgroup".into()));
    }

    #[test]
    fn version_2_is_found_beside_version_1() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(parse(mounts), Some("/sys/fs/cgroup/unified".into()));
    }

    #[test]
    fn no_mount_and_cut_lines_are_nothing() {
        assert_eq!(parse("proc /proc proc rw 0 0\ncgroup2\n"), None);
    }

    #[test]
    fn a_space_in_the_path_is_unescaped() {
        assert_eq!(parse("none /mnt/my\\040cgroup cgroup2 rw 0 0"), Some("/mnt/my cgroup".into()));
    }
}
