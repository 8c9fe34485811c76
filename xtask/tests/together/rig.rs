//! What every test here needs: the programs, and the reason if it cannot run.

use std::sync::OnceLock;
use std::time::Duration;

use xtask::artifacts::Programs;
use xtask::stack::{Settings, Stack};
use xtask::steps::{find_program, is_root};

/// Long enough for a busy machine; nothing waits this long on a good day.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running stack; `None`, with a reason, where the test may be skipped.
pub(crate) fn stack(name: &str, settings: Settings, programs: &[&str]) -> Option<Stack> {
    runnable(programs).then(|| {
        let stack = Stack::start(name, settings, built()).unwrap();
        assert!(stack.cgroup().is_some(), "without a cgroup of its own it counts what others do");
        stack
    })
}

/// Whether this test may run here; false, with a reason, where it may be skipped.
fn runnable(programs: &[&str]) -> bool {
    let required = |name, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    let required = required("CI", "true") || required("HOSP_TEST_REQUIRE", "1");
    let missing = programs.iter().find(|name| find_program(name).is_none());
    let reason = if !is_root() {
        "attaching BPF programs takes root".to_owned()
    } else if let Some(name) = missing {
        format!("{name} is not installed: cargo xtask setup test")
    } else {
        return true;
    };
    assert!(!required, "this test must run here, but {reason}");
    eprintln!("skipped: {reason}");
    false
}

/// The programs, built once for all tests.
fn built() -> Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::build_for_tests().unwrap()).clone()
}
