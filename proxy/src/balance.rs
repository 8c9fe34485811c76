//! Which origin a try goes to: the one with the least under way, and another one than the tries before.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::IntCounter;

use crate::metrics::Metrics;
use crate::origin::Origin;
use crate::retry::Reason;

/// How one try ended, as the `outcome` label tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// An answer, by the first digit of its status.
    Status(u16),
    /// It failed before an answer.
    Failed(Reason),
    /// The client went away first, or its body was broken.
    Cancelled,
}

impl AttemptOutcome {
    const NAMES: [&str; 11] = [
        "1xx",
        "2xx",
        "3xx",
        "4xx",
        "5xx",
        "connect",
        "reset",
        "garbled",
        "timeout",
        "idle_race",
        "cancelled",
    ];

    fn index(self) -> usize {
        match self {
            Self::Status(status) => usize::from(status / 100).clamp(1, 5) - 1,
            Self::Failed(Reason::Connect) => 5,
            Self::Failed(Reason::Reset) => 6,
            Self::Failed(Reason::Garbled) => 7,
            Self::Failed(Reason::Timeout) => 8,
            Self::Failed(Reason::IdleRace) => 9,
            // Statuses that are repeated count as answers.
            Self::Failed(Reason::Status500 | Reason::Status502 | Reason::Status503 | Reason::Status504) => 4,
            Self::Cancelled => 10,
        }
    }
}

/// One origin, as all workers see it.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is.
    pub origin: Origin,
    name: String,
    in_flight: AtomicU64,
    attempts: [IntCounter; AttemptOutcome::NAMES.len()],
}

impl Endpoint {
    /// An endpoint whose tries are counted in `metrics`.
    pub fn new(origin: Origin, metrics: &Metrics) -> Self {
        let name = origin.to_string();
        let attempts = AttemptOutcome::NAMES
            .map(|outcome| metrics.attempts.with_label_values(&[name.as_str(), outcome]));
        Self { origin, name, in_flight: AtomicU64::new(0), attempts }
    }

    /// `http://host:port`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tries and answers under way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one try.
    pub fn count(&self, outcome: AttemptOutcome) {
        self.attempts[outcome.index()].inc();
    }

    /// Takes note of the beginning of a try; [`Endpoint::leave`] takes note of the end of its answer.
    pub fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The opposite of [`Endpoint::enter`].
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tries so far, by outcome; those without any are left out.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        AttemptOutcome::NAMES
            .into_iter()
            .zip(&self.attempts)
            .map(|(name, n)| (name, n.get()))
            .filter(|(_, n)| *n > 0)
    }
}

/// The origins that one request has tried, as positions in the list of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried(u64);

impl Tried {
    /// Takes note of a try at `index`.
    pub fn insert(&mut self, index: usize) {
        self.0 |= Self::bit(index);
    }

    fn contains(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    /// Origins beyond the 64th are never known as tried, which costs them nothing but the preference.
    fn bit(index: usize) -> u64 {
        u32::try_from(index).ok().and_then(|shift| 1u64.checked_shl(shift)).unwrap_or(0)
    }
}

/// Picks by load among the endpoints not yet tried, or among all when all were. There is always one: the
/// last endpoint is never given up on. `turn` differs from request to request and settles ties.
pub fn pick(in_flight: impl ExactSizeIterator<Item = u64> + Clone, tried: Tried, turn: usize) -> usize {
    let count = in_flight.len();
    let untried = |index: usize| !tried.contains(index);
    let all_tried = !(0..count).any(untried);
    in_flight
        .enumerate()
        .filter(|(index, _)| all_tried || untried(*index))
        .min_by_key(|(index, load)| (*load, (index + count - turn % count) % count))
        .map(|(index, _)| index)
        .expect("there is at least one origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(load: &[u64], tried: &[usize], turn: usize) -> usize {
        let mut already = Tried::default();
        tried.iter().for_each(|&index| already.insert(index));
        pick(load.iter().copied(), already, turn)
    }

    #[test]
    fn the_least_loaded_goes_first_and_ties_take_turns() {
        assert_eq!(picked(&[3, 1, 2], &[], 0), 1);
        assert_eq!((0..4).map(|turn| picked(&[0, 0, 0], &[], turn)).collect::<Vec<_>>(), [0, 1, 2, 0]);
    }

    #[test]
    fn a_retry_prefers_another_origin_but_never_has_none() {
        assert_eq!(picked(&[0, 9], &[0], 0), 1);
        assert_eq!(picked(&[0, 9], &[0, 1], 0), 0);
        assert_eq!(picked(&[5], &[0], 3), 0);
        let load = vec![0; 70];
        assert_eq!(picked(&load, &(0..66).collect::<Vec<_>>(), 0), 64);
    }
}
