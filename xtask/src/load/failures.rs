//! When requests failed: one JSON line for each, so that a reader can tell what else was wrong at that time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Outcome;

/// One request that was not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it was sent, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// When it failed.
    pub ended_unix_ms: u64,
    /// Its method.
    pub method: String,
    /// What became of it, by [`Outcome::name`].
    pub outcome: String,
    /// Its status; 0 where there was none.
    pub status: u16,
}

impl Failure {
    /// A request that has failed just now, `took` after it was sent.
    pub(super) fn now(method: &str, outcome: &Outcome, took: Duration) -> Self {
        let ended = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            began_unix_ms: ms(ended.saturating_sub(took)),
            ended_unix_ms: ms(ended),
            method: method.to_owned(),
            outcome: outcome.name().to_owned(),
            status: outcome.status(),
        }
    }
}

/// The file of failures.
#[derive(Debug)]
pub(super) struct FailureLog(File);

impl FailureLog {
    /// Makes or empties the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).write(true).truncate(true).open(path).map(Self)
    }

    /// Writes one line, whole.
    pub(super) fn write(&mut self, failure: &Failure) -> io::Result<()> {
        let mut line = serde_json::to_vec(failure)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
