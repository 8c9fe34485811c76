//! Whether an endpoint is fit to be tried: out for a while after failures, out while active checks fail, and slowly
//! back in. Decisions are in [`ejection`] and [`check`]; here is their state, read by every worker for every try.

pub mod check;
pub mod ejection;
pub mod judge;
pub mod prober;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub use check::CheckConfig;
pub use ejection::EjectionConfig;

/// How the health of endpoints is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthConfig {
    /// When an endpoint is taken out because of what requests meet there.
    pub ejection: EjectionConfig,
    /// For how long an endpoint that comes in gets less than its share.
    pub slow_start: Duration,
    /// Active checks, if there are any.
    pub check: Option<CheckConfig>,
}

/// Least share of its requests that an endpoint gets as it comes in.
const LEAST_WEIGHT: f64 = 0.1;
/// No time at all, among milliseconds.
const NEVER: u64 = u64::MAX;

/// The health of one endpoint. Times are kept as milliseconds since its beginning, so that a look costs no lock.
#[derive(Debug)]
pub struct Health {
    beginning: Instant,
    /// Failures without a success in between.
    streak: AtomicU32,
    /// Ejections that still count.
    ejections: AtomicU32,
    /// When the last ejection ends or has ended.
    out_until: AtomicU64,
    /// Whether active checks say that it does not serve.
    failing_checks: AtomicBool,
    /// When it came in, unless that was at the very beginning.
    joined: AtomicU64,
}

impl Health {
    /// A healthy endpoint that is known since `now`; `joined` to let it begin slowly.
    pub fn new(now: Instant, joined: Option<Instant>) -> Self {
        Self {
            beginning: now,
            streak: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            failing_checks: AtomicBool::new(false),
            joined: AtomicU64::new(joined.map_or(NEVER, |_| 0)),
        }
    }

    /// Whether it may be tried while there are others.
    pub fn is_fit(&self, now: Instant) -> bool {
        let out_until = self.out_until.load(Relaxed);
        (out_until == 0 || out_until <= self.millis(now)) && !self.failing_checks.load(Relaxed)
    }

    /// Which share of its requests it is to get: less than 1 for a while after it came in.
    pub fn weight(&self, now: Instant, slow_start: Duration) -> f64 {
        let joined = self.joined.load(Relaxed);
        if joined == NEVER || slow_start.is_zero() {
            return 1.0;
        }
        let since = self.millis(now).saturating_sub(joined) as f64 / 1e3;
        (since / slow_start.as_secs_f64()).clamp(LEAST_WEIGHT, 1.0)
    }

    /// A request was answered as it should be.
    pub fn good(&self) {
        if self.streak.load(Relaxed) != 0 {
            self.streak.store(0, Relaxed);
        }
    }

    /// A request failed. For how long it is to be out now, if it is.
    pub fn bad(&self, config: &EjectionConfig) -> Option<Duration> {
        let streak = self.streak.fetch_add(1, Relaxed).saturating_add(1);
        config.after(streak, self.ejections.load(Relaxed))
    }

    /// Takes it out for `period`; afterwards it begins slowly.
    pub fn eject(&self, now: Instant, period: Duration) {
        let until = self.millis(now).saturating_add(period.as_millis() as u64).max(1);
        self.streak.store(0, Relaxed);
        self.ejections.fetch_add(1, Relaxed);
        self.out_until.store(until, Relaxed);
        self.joined.store(until, Relaxed);
    }

    /// Ejections so far that still make the next one longer.
    pub fn ejections(&self) -> u32 {
        self.ejections.load(Relaxed)
    }

    /// Forgets an ejection once it has been in for as long as that ejection took. To be called now and then.
    pub fn forgive(&self, config: &EjectionConfig, now: Instant) {
        let times = self.ejections.load(Relaxed);
        let good_since = self.out_until.load(Relaxed);
        let due = good_since.saturating_add(config.period(times.saturating_sub(1)).as_millis() as u64);
        if times > 0 && self.millis(now) >= due {
            self.ejections.store(times - 1, Relaxed);
            self.out_until.store(if times == 1 { 0 } else { self.millis(now) }, Relaxed);
        }
    }

    /// Takes note of what active checks say.
    pub fn checked(&self, serves: bool, now: Instant) {
        if self.failing_checks.swap(!serves, Relaxed) && serves {
            self.joined.store(self.millis(now), Relaxed);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.beginning).as_millis() as u64
    }
}

#[cfg(test)]
mod tests;
