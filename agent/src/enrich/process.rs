//! The name of a process, as /proc tells it, made safe to show.

use std::fs;
use std::path::Path;

/// Longest name, in bytes.
pub(super) const MAX_NAME: usize = 32;

/// Length at which the kernel cuts a task's name (`TASK_COMM_LEN` without its NUL).
const COMM_CUT: usize = 15;

/// What the process is called; `None` when it is gone.
///
/// That is the kernel's name of it (`comm`); where the kernel had to cut that, and the program's file has a
/// name that continues it, the file's name.
pub(super) fn name(proc: &Path, pid: u32) -> Option<String> {
    let dir = proc.join(pid.to_string());
    let comm = fs::read(dir.join("comm")).ok()?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    if comm.len() == COMM_CUT
        && let Ok(exe) = fs::read_link(dir.join("exe"))
        && let Some(file) = exe.file_name().map(|name| name.as_encoded_bytes())
        && file.starts_with(comm)
    {
        return sanitise(file.strip_suffix(b" (deleted)").unwrap_or(file), MAX_NAME);
    }
    sanitise(comm, MAX_NAME)
}

/// A name that any process may have chosen, as a label: printable ASCII without quotes and separators, of at
/// most so many bytes. `None` when nothing is left.
pub(super) fn sanitise(name: &[u8], most: usize) -> Option<String> {
    let clean: String = name
        .iter()
        .take(most)
        .map(|&b| match b {
            b'-' | b'_' | b'.' | b':' | b'@' | b'/' | b'+' | b'(' | b')' => b.into(),
            _ if b.is_ascii_alphanumeric() => b.into(),
            _ => '_',
        })
        .collect();
    (!clean.trim_matches('_').is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_name_that_the_kernel_cut_is_completed_from_the_file() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, comm, exe, want) in [
            (1, "nginx\n", "/usr/sbin/nginx", Some("nginx")),
            (2, "prometheus-aler\n", "/usr/bin/prometheus-alertmanager", Some("prometheus-alertmanager")),
            (
                3,
                "prometheus-aler\n",
                "/usr/bin/prometheus-alertmanager (deleted)",
                Some("prometheus-alertmanager"),
            ),
            (4, "fifteen-letters\n", "/usr/bin/python3", Some("fifteen-letters")),
            (5, "a b\"c\n", "/x", Some("a_b_c")),
            (6, "\n", "/x", None),
        ] {
            let dir = proc.path().join(pid.to_string());
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("comm"), comm).unwrap();
            symlink(exe, dir.join("exe")).unwrap();
            assert_eq!(name(proc.path(), pid).as_deref(), want, "{comm}");
        }
        assert_eq!(name(proc.path(), 7), None);
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_clean_label(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(name) = sanitise(&bytes, MAX_NAME) {
                prop_assert!(!name.is_empty() && name.len() <= MAX_NAME);
                prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'));
            }
        }
    }
}
