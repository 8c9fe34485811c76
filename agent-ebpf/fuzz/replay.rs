//! Runs the body of a fuzz target on every input that is kept for it; all crates with fuzz targets share it.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

/// Runs `check` on every file of `fuzz/regressions/TARGET` of the crate under test; those that fail are named.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(target);
    let entries = fs::read_dir(&dir).expect("every target has a folder of inputs");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no file in {}", dir.display());
    let fails = |file: &&PathBuf| {
        let bytes = fs::read(file).expect("the file can be read");
        panic::catch_unwind(|| check(&bytes)).is_err()
    };
    let failed: Vec<_> = files.iter().filter(fails).collect();
    assert!(failed.is_empty(), "failed: {failed:#?}");
}
