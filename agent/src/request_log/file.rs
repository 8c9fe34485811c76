//! The log's file: appended to, and opened again on SIGHUP, so that it can be rotated.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The log's file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Set from outside: the next write goes to whatever has the path's name then.
    reopen: Arc<AtomicBool>,
}

impl LogFile {
    /// Opens `path` for appending, and makes it (mode 0640) if it is missing. Whenever `reopen` is set, it is opened
    /// again.
    pub fn open(path: &Path, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)?, reopen })
    }
}

/// Never waits: a FIFO that nobody reads is an error.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK).open(path)
}

impl Write for LogFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.reopen.swap(false, Relaxed) {
            match open(&self.path) {
                Ok(file) => self.file = file,
                // The old file is better than none.
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot open the request log again")
                }
            }
        }
        self.file.write(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
