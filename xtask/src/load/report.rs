//! What became of all requests, and how long it took.

use std::collections::BTreeMap;
use std::time::Duration;

use hosp_feed::Latency;
use serde::{Deserialize, Serialize};

use super::Options;
use super::failures::{Failure, FailureLog};
use crate::counts::Counts;

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer.
    Answered(u16),
    /// A head, but the body broke off.
    CutBody(u16),
    /// The connection ended before a head.
    Unanswered,
    /// No whole answer in time; given up, with the status if there was a head.
    TimedOut(Option<u16>),
    /// Never sent: no connection could be made.
    Unsent,
}

impl Outcome {
    /// The final status; 0 without one.
    pub fn status(&self) -> u16 {
        match *self {
            Self::Answered(status) | Self::CutBody(status) => status,
            Self::TimedOut(status) => status.unwrap_or(0),
            Self::Unanswered | Self::Unsent => 0,
        }
    }

    /// Its name in the report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::CutBody(_) => "cut_body",
            Self::Unanswered => "unanswered",
            Self::TimedOut(_) => "timed_out",
            Self::Unsent => "unsent",
        }
    }

    /// Whether the client was served: a whole answer that is no 5xx.
    pub fn success(&self) -> bool {
        matches!(self, Self::Answered(status) if *status < 500)
    }
}

/// What became of all requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Seed of the schedule.
    pub seed: u64,
    /// Requests per second asked for.
    pub rate: f64,
    /// Seconds for which requests were scheduled.
    pub seconds: f64,
    /// Requests handed to a connection.
    pub sent: u64,
    /// Those by method and final status, 0 where there was none.
    pub counts: Counts,
    /// All requests by what became of them; those `unsent` are not among `sent`.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests that were served: a whole answer that is no 5xx.
    pub succeeded: u64,
    /// Latency of whole answers, from the scheduled time.
    pub latency: LatencyReport,
    /// By how much the generator itself was late at worst, in microseconds.
    pub latest_start_us: u64,
}

/// Latencies in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyReport {
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p999_us: u64,
    /// Longest.
    pub max_us: u64,
}

impl LoadReport {
    /// How many requests had this outcome.
    pub fn outcome(&self, name: &str) -> u64 {
        self.outcomes.get(name).copied().unwrap_or(0)
    }
}

/// Collects outcomes.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    counts: Counts,
    outcomes: BTreeMap<&'static str, u64>,
    succeeded: u64,
    latency: Latency,
    latest: Duration,
    failures: Option<FailureLog>,
}

impl Recorder {
    /// A recorder that also writes down each failure, if there is a file for that.
    pub(super) fn new(failures: Option<FailureLog>) -> Self {
        Self { failures, ..Self::default() }
    }

    /// Counts one request that has ended `latency` after its scheduled time, having begun `late` after it.
    pub(super) fn record(&mut self, method: &str, outcome: &Outcome, latency: Duration, late: Duration) {
        *self.outcomes.entry(outcome.name()).or_default() += 1;
        if *outcome != Outcome::Unsent {
            self.counts.add(method, outcome.status(), 1);
        }
        if matches!(outcome, Outcome::Answered(_)) {
            self.latency.record(micros(latency));
        }
        self.succeeded += u64::from(outcome.success());
        if !outcome.success()
            && let Some(log) = &mut self.failures
            && let Err(error) = log.write(&Failure::now(method, outcome, latency.saturating_sub(late)))
        {
            eprintln!("demo-load: no more failures are written down: {error}");
            self.failures = None;
        }
        self.latest = self.latest.max(late);
    }

    pub(super) fn report(&self, options: &Options, scheduled: Duration) -> LoadReport {
        let at = |q| self.latency.quantile(q);
        LoadReport {
            seed: options.seed,
            rate: options.rate,
            seconds: scheduled.as_secs_f64(),
            sent: self.counts.total(),
            counts: self.counts.clone(),
            outcomes: self.outcomes.iter().map(|(&name, &n)| (name.to_owned(), n)).collect(),
            succeeded: self.succeeded,
            latency: LatencyReport {
                mean_us: self.latency.mean(),
                p50_us: at(0.5),
                p90_us: at(0.9),
                p99_us: at(0.99),
                p999_us: at(0.999),
                max_us: at(1.0),
            },
            latest_start_us: micros(self.latest),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn what_was_not_served_is_written_down_with_its_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("failures");
        let mut recorder = Recorder::new(Some(FailureLog::create(&path).unwrap()));
        for outcome in [Outcome::Answered(404), Outcome::Answered(503), Outcome::Unsent] {
            recorder.record("POST", &outcome, Duration::from_millis(30), Duration::from_millis(10));
        }
        let text = std::fs::read_to_string(path).unwrap();
        let all: Vec<Failure> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = all.iter().map(|f| (f.outcome.as_str(), f.status)).collect();
        assert_eq!(told, [("answered", 503), ("unsent", 0)]);
        assert!(all.iter().all(|f| f.ended_unix_ms - f.began_unix_ms == 20), "{text}");
    }

    #[test]
    fn every_request_has_one_outcome_and_only_sent_ones_count() {
        let mut recorder = Recorder::default();
        let all = [
            Outcome::Answered(200),
            Outcome::Answered(503),
            Outcome::CutBody(200),
            Outcome::Unanswered,
            Outcome::TimedOut(None),
            Outcome::Unsent,
        ];
        for outcome in &all {
            recorder.record("GET", outcome, Duration::from_millis(3), Duration::ZERO);
        }
        let options = Options::parse_from(["demo-load", "--target", "127.0.0.1:1"]);
        let report = recorder.report(&options, Duration::from_secs(1));
        assert_eq!(report.outcomes.values().sum::<u64>(), 6);
        assert_eq!((report.sent, report.counts.total(), report.succeeded), (5, 5, 1));
        assert_eq!(report.counts.of_status(|status| status == 0), 2);
        assert_eq!(report.outcome("unsent"), 1);
    }
}
