//! How many requests may be under way at one endpoint at once: found out, not configured.
//!
//! [`adapt`] decides from what each second brought; [`queue`] is where requests wait that find no room.

mod adapt;
pub mod queue;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use adapt::{Adapt, Window};

/// How many requests may be under way, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// Least per endpoint, however crowded it seems.
    pub min: u32,
    /// Most per endpoint; the limit until an endpoint is found crowded.
    pub max: u32,
    /// Most requests that wait for room.
    pub queue: usize,
    /// Longest wait for room.
    pub wait: Duration,
}

/// What one worker's tries met at one endpoint since it last said so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Answered as they should be.
    pub good: u64,
    /// Failed.
    pub bad: u64,
    /// Seconds until the heads of the good answers, in sum.
    pub seconds: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.good += other.good;
        self.bad += other.bad;
        self.seconds += other.seconds;
    }
}

/// The limit of one endpoint.
#[derive(Debug)]
pub struct Limit {
    now: AtomicU32,
    /// Whether a request found no room since the last look.
    bound: AtomicBool,
    learning: Mutex<Learning>,
}

#[derive(Debug)]
struct Learning {
    adapt: Adapt,
    /// What has come in and was not yet judged, and since when.
    tally: Tally,
    since: Instant,
    /// Good and bad answers since the last look at them.
    seen: (u64, u64),
}

/// Answers that a look at them needs to mean something.
const ENOUGH: u64 = 20;

impl Limit {
    /// No limit worth the name, until something is known.
    pub fn new(now: Instant) -> Self {
        let learning =
            Learning { adapt: Adapt::default(), tally: Tally::default(), since: now, seen: (0, 0) };
        Self { now: AtomicU32::new(u32::MAX), bound: AtomicBool::new(false), learning: Mutex::new(learning) }
    }

    /// The limit now.
    pub fn now(&self) -> u32 {
        self.now.load(Relaxed)
    }

    /// A request found no room.
    pub fn was_full(&self) {
        self.bound.store(true, Relaxed);
    }

    /// Takes in what a worker has seen.
    pub fn learn(&self, tally: &Tally) {
        if *tally == Tally::default() {
            return;
        }
        let mut learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        learning.tally.add(tally);
        learning.seen.0 += tally.good;
        learning.seen.1 += tally.bad;
    }

    /// Good and bad answers since this was last asked.
    pub fn take_seen(&self) -> (u64, u64) {
        std::mem::take(&mut self.learning.lock().unwrap_or_else(PoisonError::into_inner).seen)
    }

    /// Sets the limit by what has come in, once that is enough; `true` if there is more room than before.
    ///
    /// A look takes at least as long as an answer, so that most of what it sees began under the limit that it judges.
    pub fn review(&self, config: &LimitConfig, now: Instant) -> bool {
        let mut learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let Tally { good, seconds, .. } = learning.tally;
        let lasted = now.saturating_duration_since(learning.since).as_secs_f64();
        let before = self.now();
        if good >= ENOUGH && lasted > 0.0 && lasted >= seconds / good as f64 {
            let window = Window {
                latency: seconds / good as f64,
                rate: good as f64 / lasted,
                bound: self.bound.swap(false, Relaxed),
            };
            learning.tally = Tally::default();
            learning.since = now;
            self.now.store(learning.adapt.judge(&window, config), Relaxed);
        } else if before > config.max {
            self.now.store(config.max, Relaxed);
        }
        self.now() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: LimitConfig = LimitConfig { min: 16, max: 1000, queue: 10, wait: Duration::from_secs(1) };

    #[test]
    fn too_few_answers_or_too_short_a_time_decide_nothing() {
        let start = Instant::now();
        let limit = Limit::new(start);
        limit.learn(&Tally { good: 19, bad: 3, seconds: 19.0 });
        limit.review(&CONFIG, start + Duration::from_secs(60));
        assert_eq!(limit.learning.lock().unwrap().tally.good, 19);
        limit.learn(&Tally { good: 1, bad: 0, seconds: 181.0 });
        limit.review(&CONFIG, start + Duration::from_secs(9));
        assert_eq!(limit.learning.lock().unwrap().tally.good, 20, "answers take 10 s here");
        limit.review(&CONFIG, start + Duration::from_secs(10));
        assert_eq!(limit.learning.lock().unwrap().tally.good, 0);
        assert_eq!(limit.now(), CONFIG.max);
        assert_eq!(limit.take_seen(), (20, 3));
        assert_eq!(limit.take_seen(), (0, 0));
    }
}
