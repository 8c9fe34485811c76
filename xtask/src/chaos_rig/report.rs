//! The verdict on one contender: samples and ledger in, figures out. Pure.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::outcome::{Outcome, Sample};
use super::scenario::{Ask, Scenario, Sky};

/// What one contender made of one scenario. Times are seconds of the real system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub contender: String,
    /// GETs.
    pub reads: Served,
    /// POSTs without an `Idempotency-Key`.
    pub writes: Served,
    /// POSTs with one.
    pub keyed_writes: Served,
    /// Answers that looked whole and right, and were not.
    pub wrong_bodies: u64,
    /// Requests that reached the origin with another body, path or id than the client's.
    pub garbled_requests: u64,
    /// Times that a write was applied beyond its first.
    pub duplicates: u64,
    /// Writes that the client was told were done, and that were not.
    pub lost_writes: u64,
    /// From the scheduled time, over all requests, failed ones with the time that their failure took.
    pub latency: Quantiles,
    /// Attempts at the origin that came before the time that `Retry-After` had named.
    pub early: u64,
    /// Failed requests by what became of them.
    pub failures: BTreeMap<String, u64>,
    /// The outage, where the scenario has one.
    pub outage: Option<Outage>,
    /// The latest start of a request, in milliseconds of the run: above some tens, the machine was too busy.
    pub latest_start_ms: f64,
}

/// Requests of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// Requests of the clients.
    pub requests: u64,
    /// Those that got the right answer in time.
    pub served: u64,
    /// Attempts at the origin.
    pub attempts: u64,
}

/// Quantiles of latency, in seconds of the real system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// What happened while everything failed, and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// Attempts at the origin per request of the clients while it lasted.
    pub load: f64,
    /// Within which time 99 % of its failures were told, in its second half.
    pub failure_p99: f64,
    /// From its end to the last scheduled read that still failed.
    pub recovered_after: f64,
}

impl Served {
    /// The share that was served; `None` where nothing was asked for.
    pub fn share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.served as f64 / self.requests as f64)
    }

    /// Attempts per request.
    pub fn load(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.attempts as f64 / self.requests as f64)
    }
}

impl Report {
    /// Requests of this kind.
    pub fn of(&self, ask: Ask) -> Served {
        match ask {
            Ask::Read => self.reads,
            Ask::Write => self.writes,
            Ask::KeyedWrite => self.keyed_writes,
        }
    }

    /// All requests.
    pub fn all(&self) -> Served {
        Ask::ALL.iter().fold(Served::default(), |all, &ask| {
            let one = self.of(ask);
            Served {
                requests: all.requests + one.requests,
                served: all.served + one.served,
                attempts: all.attempts + one.attempts,
            }
        })
    }
}

/// Judges what became of `samples`, with the origin's `ledger`.
pub(super) fn judge(scenario: &Scenario, contender: &str, samples: &[Sample], ledger: &Ledger) -> Report {
    let of = |ask: Ask| {
        let mine = || samples.iter().filter(move |sample| sample.planned.ask == ask);
        Served {
            requests: mine().count() as u64,
            served: mine().filter(|sample| sample.outcome == Outcome::Served).count() as u64,
            attempts: ledger.arrivals().iter().filter(|arrival| arrival.ask == ask).count() as u64,
        }
    };
    let lost = |sample: &&Sample| {
        sample.planned.ask.writes() && sample.outcome == Outcome::Served && !ledger.applied(sample.planned.id)
    };
    let mut failures = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.outcome != Outcome::Served) {
        *failures.entry(sample.outcome.to_string()).or_default() += 1;
    }
    let times = sorted(samples.iter().map(|sample| sample.latency));
    let at = |q| scenario.unscaled(quantile(&times, q));
    let late = samples.iter().map(|sample| sample.late).max().unwrap_or_default();
    let spell = scenario.spells(samples.len() as u64).find(|(_, sky)| *sky == Sky::Failing);
    Report {
        contender: contender.to_owned(),
        reads: of(Ask::Read),
        writes: of(Ask::Write),
        keyed_writes: of(Ask::KeyedWrite),
        wrong_bodies: samples.iter().filter(|sample| sample.outcome == Outcome::WrongBody).count() as u64,
        garbled_requests: ledger.garbled_requests(),
        duplicates: ledger.duplicates(),
        lost_writes: samples.iter().filter(lost).count() as u64,
        latency: Quantiles { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
        early: ledger.early(),
        failures,
        outage: spell.map(|(during, _)| outage(scenario, &during, samples, ledger)),
        latest_start_ms: late.as_secs_f64() * 1e3,
    }
}

fn outage(scenario: &Scenario, during: &Range<Duration>, samples: &[Sample], ledger: &Ledger) -> Outage {
    let asked = samples.iter().filter(|sample| during.contains(&sample.planned.at)).count();
    let attempts = ledger.arrivals().iter().filter(|arrival| during.contains(&arrival.at)).count();
    let second_half = (during.start + during.end) / 2..during.end;
    let failed = || samples.iter().filter(|sample| sample.outcome != Outcome::Served);
    let told = failed().filter(|sample| second_half.contains(&sample.planned.at));
    let after = failed()
        .filter(|sample| sample.planned.ask == Ask::Read)
        .filter_map(|sample| sample.planned.at.checked_sub(during.end));
    Outage {
        load: attempts as f64 / asked.max(1) as f64,
        failure_p99: scenario.unscaled(quantile(&sorted(told.map(|sample| sample.latency)), 0.99)),
        recovered_after: scenario.unscaled(after.max().unwrap_or_default()),
    }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times
}

/// The smallest of the `sorted` times that is not exceeded by a share `q` of them; zero where there are none.
fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
