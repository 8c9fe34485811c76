//! wrk, the load generator of the benchmarks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use xtask::child::Launch;

use super::{Cores, Rounds};
use crate::steps::find_program;

/// Makes wrk print its summary as JSON.
pub(super) const SCRIPT: &str = include_str!("../../assets/wrk.lua");

/// What wrk measured.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Summary {
    /// Answers.
    pub(super) requests: u64,
    /// For how long, in microseconds.
    duration_us: u64,
    /// Errors of connections, and statuses of 400 and above.
    pub(super) failed: u64,
    /// Median latency in microseconds.
    pub(super) p50_us: u64,
    /// 99th percentile.
    pub(super) p99_us: u64,
}

impl Summary {
    /// Answers per second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / (self.duration_us as f64 / 1e6)
    }
}

/// Loads `http://{target}{path}` with as many requests as it answers.
pub(super) fn load(
    dir: &Path,
    rounds: &Rounds,
    seconds: u32,
    target: SocketAddr,
    path: &str,
) -> anyhow::Result<Summary> {
    let script = dir.join("wrk.lua");
    std::fs::write(&script, SCRIPT)?;
    let log = dir.join("wrk.log");
    let _ = std::fs::remove_file(&log);
    let mut launch = Launch::new("wrk", find_program("wrk").context("no wrk")?).log(&log).args([
        "--threads=1".to_owned(),
        format!("--connections={}", rounds.connections),
        format!("--duration={seconds}s"),
        "--timeout=10s".to_owned(),
        format!("--script={}", script.display()),
        format!("http://{target}{path}"),
    ]);
    if let Some(core) = Cores::find().load {
        launch = launch.core(core);
    }
    let mut wrk = launch.spawn()?;
    let ended = wrk.wait(Duration::from_secs(u64::from(seconds) + 30)).context("wrk does not end")?;
    ensure!(ended.success(), "wrk failed ({ended}):\n{}", wrk.log_tail(10));
    let summary =
        summary(&wrk.log_tail(100)).with_context(|| format!("wrk printed:\n{}", wrk.log_tail(20)))?;
    ensure!(
        summary.failed == 0,
        "{} of {} requests to {target}{path} failed",
        summary.failed,
        summary.requests
    );
    Ok(summary)
}

fn summary(output: &str) -> anyhow::Result<Summary> {
    let json = output.lines().find_map(|line| line.strip_prefix("SUMMARY ")).context("no summary")?;
    Ok(serde_json::from_str(json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_found_below_wrks_own_text() {
        let output = "Running 4s test\n  1 threads\nSUMMARY {\"requests\":400,\"duration_us\":2000000,\"failed\":0,\"p50_us\":512,\"p99_us\":900}\n";
        let found = summary(output).unwrap();
        assert_eq!((found.requests, found.p50_us, found.p99_us), (400, 512, 900));
        assert_eq!(found.rate(), 200.0);
        assert!(summary("Running\n").is_err());
    }
}
