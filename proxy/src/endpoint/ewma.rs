//! How long an endpoint takes, for balancing: a moving average that jumps to a peak at once and forgets it slowly.

use std::time::{Duration, Instant};

/// Time in which a sample loses all but 1/e of its weight, in seconds.
const DECAY: f64 = 10.0;
/// A failure counts as an answer this many times as slow as usual: one is noise, several in a row add up fast.
const FAILURE: f64 = 4.0;
/// Least share that a sample has in the average.
const LEAST_SHARE: f64 = 0.05;
/// Where that growth ends, in seconds.
const SLOWEST: f64 = 120.0;

/// The average, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    value: f64,
    at: Instant,
}

impl PeakEwma {
    /// Nothing known at `now`.
    pub fn new(now: Instant) -> Self {
        Self { value: 0.0, at: now }
    }

    /// Takes note of an answer that took `latency`.
    pub fn answered(&mut self, latency: Duration, now: Instant) {
        self.sample(latency.as_secs_f64(), now);
    }

    /// Takes note of a failure after `latency`.
    pub fn failed(&mut self, latency: Duration, now: Instant) {
        let slow = (self.value_at(now) * FAILURE).min(SLOWEST);
        // With nothing to compare with, a failure must still not look like a quick answer.
        self.sample(latency.as_secs_f64().max(slow).max(0.05), now);
    }

    /// What a further request would have to wait, as far as can be told, with `in_flight` under way. An endpoint that
    /// nothing is known of looks cheap until it has something to do.
    pub fn cost(&self, in_flight: u64, now: Instant) -> f64 {
        let value = self.value_at(now);
        if value > 0.0 { value * (in_flight + 1) as f64 } else { in_flight as f64 * SLOWEST }
    }

    /// A peak wears off while no samples come, so that an endpoint that was slow is tried again.
    fn value_at(&self, now: Instant) -> f64 {
        if self.value > 0.0 { self.value * self.weight(now) } else { 0.0 }
    }

    fn weight(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / DECAY).exp()
    }

    fn sample(&mut self, seconds: f64, now: Instant) {
        let weight = self.weight(now);
        let faded = self.value * weight;
        // Samples in quick succession have hardly faded what was before, and still count.
        let share = (1.0 - weight).max(LEAST_SHARE);
        self.value = if seconds > faded { seconds } else { faded + (seconds - faded) * share };
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_peak_counts_at_once_and_wears_off() {
        let start = Instant::now();
        let mut ewma = PeakEwma::new(start);
        ewma.answered(100 * MS, start);
        assert_eq!(ewma.cost(0, start), 0.1);
        ewma.answered(2000 * MS, start);
        assert_eq!(ewma.cost(0, start), 2.0);
        assert_eq!(ewma.cost(2, start), 6.0);
        assert!(ewma.cost(0, start + Duration::from_secs(30)) < 0.11);
        for n in 1..=100 {
            ewma.answered(100 * MS, start + n * MS);
        }
        assert!(ewma.cost(0, start + 100 * MS) < 0.2, "{ewma:?}");
    }

    #[test]
    fn quick_failures_look_slower_each_time() {
        let start = Instant::now();
        let mut ewma = PeakEwma::new(start);
        ewma.answered(100 * MS, start);
        let costs: Vec<f64> = (0..3)
            .map(|_| {
                ewma.failed(MS, start);
                ewma.cost(0, start)
            })
            .collect();
        assert_eq!(costs, [0.4, 1.6, 6.4]);
        (0..20).for_each(|_| ewma.failed(MS, start));
        assert_eq!(ewma.cost(0, start), SLOWEST);
    }

    #[test]
    fn a_new_endpoint_gets_one_request_to_show_what_it_can() {
        let start = Instant::now();
        let ewma = PeakEwma::new(start);
        assert_eq!(ewma.cost(0, start), 0.0);
        assert!(ewma.cost(1, start) > 20.0);
    }
}
