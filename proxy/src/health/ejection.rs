//! When an endpoint is taken out because of what requests meet there: a pure decision.

use std::time::Duration;

/// When an endpoint is taken out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Failures in a row; 0 ejects nothing, whatever the reason.
    pub failures: u32,
    /// For how long the first time; twice as long each further time.
    pub base: Duration,
    /// For how long at most.
    pub max: Duration,
}

/// Answers that a share needs to mean something.
const ENOUGH: u64 = 20;
/// Share of failures below which no endpoint is conspicuous.
const CONSPICUOUS: f64 = 0.2;
/// By how much its share of failures exceeds that of the others.
const TIMES_WORSE: f64 = 3.0;

/// What requests met at one endpoint lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Answered as they should be.
    pub good: u64,
    /// Failed.
    pub bad: u64,
}

impl EjectionConfig {
    /// For how long an endpoint is to be out that has failed `streak` times in a row and was ejected `times` before.
    pub fn after(&self, streak: u32, times: u32) -> Option<Duration> {
        (self.failures > 0 && streak >= self.failures).then(|| self.period(times))
    }

    /// How long an ejection takes after `times` earlier ones.
    pub fn period(&self, times: u32) -> Duration {
        self.base.saturating_mul(1 << times.min(20)).min(self.max.max(self.base))
    }
}

impl Rate {
    fn all(self) -> u64 {
        self.good + self.bad
    }

    fn failing(self) -> f64 {
        self.bad as f64 / self.all().max(1) as f64
    }
}

/// The endpoint that fails conspicuously more often than all others together, if there is one.
pub fn outlier(rates: &[Rate]) -> Option<usize> {
    let sum = rates
        .iter()
        .fold(Rate::default(), |sum, rate| Rate { good: sum.good + rate.good, bad: sum.bad + rate.bad });
    let conspicuous = |rate: &Rate| {
        let others = Rate { good: sum.good - rate.good, bad: sum.bad - rate.bad };
        rate.all() >= ENOUGH
            && others.all() >= ENOUGH
            && rate.failing() >= CONSPICUOUS
            && rate.failing() >= TIMES_WORSE * others.failing()
    };
    rates
        .iter()
        .enumerate()
        .filter(|(_, rate)| conspicuous(rate))
        .max_by(|(_, a), (_, b)| a.failing().total_cmp(&b.failing()))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_out_doubles_up_to_its_maximum() {
        let config =
            EjectionConfig { failures: 5, base: Duration::from_secs(30), max: Duration::from_secs(300) };
        assert_eq!(config.after(4, 0), None);
        let seconds = [0, 1, 2, 3, 4, 99].map(|times| config.after(5, times).unwrap().as_secs());
        assert_eq!(seconds, [30, 60, 120, 240, 300, 300]);
        assert_eq!(EjectionConfig { failures: 0, ..config }.after(1000, 0), None);
    }

    #[test]
    fn an_outlier_is_much_worse_than_the_others() {
        let check = |rates: &[(u64, u64)], expect: Option<usize>| {
            let rates: Vec<_> = rates.iter().map(|&(good, bad)| Rate { good, bad }).collect();
            assert_eq!(outlier(&rates), expect, "{rates:?}");
        };
        check(&[(95, 5), (60, 40)], Some(1));
        check(&[(95, 5), (90, 10)], None);
        check(&[(60, 40), (60, 40)], None);
        check(&[(100, 0), (5, 5)], None);
        check(&[(5, 5), (10, 60)], None);
        check(&[(0, 100)], None);
        check(&[(60, 40), (60, 40), (50, 50)], None);
        check(&[(950, 50), (60, 40), (50, 50)], Some(2));
        check(&[], None);
    }
}
