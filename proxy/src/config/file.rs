//! The shape of the TOML file. Unknown keys are errors; every error names its line and column.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::endpoints::{Breaker, Concurrency, Dns, Health};
use super::routes::{Hedge, Route};
use super::units::{Period, PositivePeriod, Size};
use super::{AdminAddr, HostPolicy, LogFormat, Profile};
use crate::origin::Origin;

/// The whole file. Whatever is absent comes from the flags or from the profile.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// `listen = ["127.0.0.1:8080"]`.
    pub listen: Vec<SocketAddr>,
    /// `origins = ["http://127.0.0.1:9000"]`.
    pub origins: Vec<Origin>,
    /// `fallbacks = [["http://127.0.0.1:9002"]]`: asked only while none before them is in good health.
    pub fallbacks: Vec<Vec<Origin>>,
    /// `admin = "unix:/run/hosp/proxy.sock"`.
    pub admin: Option<AdminAddr>,
    /// `workers = 2`.
    pub workers: Option<NonZeroUsize>,
    /// `profile = "classic"`.
    pub profile: Option<Profile>,
    /// `deadline = "30s"`.
    pub deadline: Option<PositivePeriod>,
    /// `drain = "30s"`.
    pub drain: Option<Period>,
    /// `[retry]`.
    pub retry: Retry,
    /// `[[routes]]`: first match wins.
    pub routes: Vec<Route>,
    /// `[cache]`.
    pub cache: Cache,
    /// `[pool]`.
    pub pool: Pool,
    /// `[limits]`.
    pub limits: Limits,
    /// `[forwarded]`.
    pub forwarded: Forwarded,
    /// `[log]`.
    pub log: Log,
    /// `[health]`.
    pub health: Health,
    /// `[breaker]`.
    pub breaker: Breaker,
    /// `[concurrency]`.
    pub concurrency: Concurrency,
    /// `[dns]`.
    pub dns: Dns,
}

/// `[retry]`: how failed tries are repeated.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries in all, 1 to 20.
    pub tries: Option<Tries>,
    /// A fixed pause between tries, instead of back-off.
    pub interval: Option<Period>,
    /// Cap of the first random pause.
    pub backoff_base: Option<PositivePeriod>,
    /// Cap of every random pause.
    pub backoff_max: Option<PositivePeriod>,
    /// Longest time for one try.
    pub try_timeout: Option<PositivePeriod>,
    /// Most of a request's body that is held for a further try.
    pub replay: Option<Size>,
    /// When a slow try gets a second one beside it.
    pub hedge: Option<Hedge>,
    /// Least time before that.
    pub hedge_floor: Option<Period>,
    /// Retries allowed per recent request, 0 to 1.
    pub budget_ratio: Option<Ratio>,
    /// Retries per second allowed whatever the load.
    pub budget_floor: Option<u32>,
}

/// `[cache]`: what is kept of the origins' answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Most memory; `"0"` turns the cache off.
    pub size: Option<Size>,
    /// Largest answer stored.
    pub entry: Option<Size>,
    /// Lifetime of 200s that carry none.
    pub default_ttl: Option<Period>,
}

/// `[pool]`: connections to the origins.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// How long an idle connection is kept.
    pub idle_timeout: Option<Period>,
    /// Idle connections kept per origin and worker.
    pub idle: Option<usize>,
    /// Longest time for name look-up and TCP handshake.
    pub connect_timeout: Option<PositivePeriod>,
}

/// `[limits]`: bounds on what clients and origins may take.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest wait for a client's next request head.
    pub client_idle: Option<PositivePeriod>,
    /// Largest head; at least 8 KiB.
    pub head: Option<HeadSize>,
    /// Longest pause within an answer's body.
    pub body_idle: Option<PositivePeriod>,
}

/// `[forwarded]`: what origins are told of the client.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forwarded {
    /// Whether the client's `X-Forwarded-Proto` and `-Host` are passed on.
    pub trust: bool,
    /// Which `Host` the origin gets.
    pub host: HostPolicy,
}

/// `[log]`: what is logged.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Form of the messages on standard error.
    pub format: Option<LogFormat>,
    /// One line of JSON per request on standard output.
    pub access: Option<bool>,
    /// `Server-Timing` in answers: how long the origins took, and in how many tries.
    pub server_timing: Option<bool>,
}

/// Tries in all, 1 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Tries(pub u32);

/// A share, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio(pub f64);

/// A head's size in bytes: 8 KiB, the least that hyper takes, to 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Size")]
pub struct HeadSize(pub usize);

/// A number outside of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Of tries.
    #[error("{0} tries: at least 1, at most 20")]
    Tries(u32),
    /// Of a share.
    #[error("{0}: a share is between 0 and 1")]
    Ratio(String),
    /// Of a head's size.
    #[error("{0} bytes: a head may have 8KiB to 1MiB")]
    Head(u64),
}

impl TryFrom<u32> for Tries {
    type Error = RangeError;

    fn try_from(n: u32) -> Result<Self, RangeError> {
        if (1..=20).contains(&n) { Ok(Self(n)) } else { Err(RangeError::Tries(n)) }
    }
}

impl TryFrom<f64> for Ratio {
    type Error = RangeError;

    fn try_from(n: f64) -> Result<Self, RangeError> {
        if (0.0..=1.0).contains(&n) { Ok(Self(n)) } else { Err(RangeError::Ratio(n.to_string())) }
    }
}

impl TryFrom<Size> for HeadSize {
    type Error = RangeError;

    fn try_from(Size(n): Size) -> Result<Self, RangeError> {
        if ((8 << 10)..=(1 << 20)).contains(&n) { Ok(Self(n as usize)) } else { Err(RangeError::Head(n)) }
    }
}

/// Why a configuration file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not readable.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or not this shape.
    #[error("{path}:{line}:{column}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

/// Reads and checks the file at `path`.
pub fn read(path: &Path) -> Result<File, FileError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Checks `text`, which came from `path`.
pub fn parse(text: &str, path: &Path) -> Result<File, FileError> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        FileError::Parse { path: path.to_owned(), line, column, message: error.message().to_owned() }
    })
}

/// Line and column, both from 1, of the byte at `offset`.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text, Path::new("p.toml")).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_line_and_column() {
        let check = |text: &str, prefix: &str, part: &str| {
            let error = error(text);
            assert!(error.starts_with(prefix), "{error}");
            assert!(error.contains(part), "{error}");
        };
        check("workers = 2\ncolour = 1\n", "p.toml:2:1: ", "unknown field `colour`");
        check("[retry]\ntries = 0\n", "p.toml:2:9: ", "at least 1");
        check("[retry]\n  budget_ratio = 1.5", "p.toml:2:18: ", "between 0 and 1");
        // For a member of a list, the list is named, and the message names the member.
        check("\norigins = [\n  \"https://a\",\n]", "p.toml:2:11: ", "`https://a`");
        check("deadline = \"0s\"", "p.toml:1:12: ", "longer than zero");
        check("deadline = 30", "p.toml:1:12: ", "invalid type");
        check("[cache]\nsize = \"many\"", "p.toml:2:8: ", "not a size");
        check("[limits]\nhead = \"1KiB\"", "p.toml:2:8: ", "8KiB");
        check("listen = [\"localhost\"]", "p.toml:1:11: ", "");
        check("a = [", "p.toml:1:", "");
    }

    #[test]
    fn every_key_is_read() {
        let file = parse(include_str!("../../tests/data/full.toml"), Path::new("full.toml")).unwrap();
        let absent = format!("{file:?}").matches("None").count();
        assert_eq!(absent, 0, "the sample misses a key: {file:?}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/p.toml")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/p.toml"), "{error}");
    }
}
