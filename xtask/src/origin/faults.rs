//! What befalls the n-th request: how long it takes, and whether it fails. Pure: seed and number decide.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// The real system's shortest and longest answers, in seconds.
const REAL_SECONDS: std::ops::Range<f64> = 2.0..20.0;

/// Statuses of failures, each with its share in percent: mostly overload and bad gateways.
const ERRORS: [(u16, u32); 4] = [(500, 20), (502, 30), (503, 35), (504, 15)];

/// What is wrong with a fault setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadFaults {
    /// The shares are no probabilities.
    #[error("--errors {errors} and --resets {resets}: shares lie between 0 and 1, and so does their sum")]
    Shares {
        /// Share of 5xx.
        errors: f64,
        /// Share of resets.
        resets: f64,
    },
    /// The factor is no factor.
    #[error("--time-scale {0}: a factor from 0 (at once) to 10")]
    Scale(f64),
}

/// How long answers take: evenly distributed between two bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay(std::ops::Range<f64>);

impl Delay {
    /// The real system's 2 to 20 s times `scale`.
    pub fn scaled(scale: f64) -> Result<Self, BadFaults> {
        if !(0.0..=10.0).contains(&scale) {
            return Err(BadFaults::Scale(scale));
        }
        Ok(Self(REAL_SECONDS.start * scale..REAL_SECONDS.end * scale))
    }

    fn draw(&self, rng: &mut SmallRng) -> Duration {
        let share: f64 = rng.random();
        Duration::from_secs_f64(self.0.start + share * (self.0.end - self.0.start))
    }
}

/// The seeded faults of one origin.
#[derive(Clone, Debug)]
pub struct Faults {
    seed: u64,
    errors: f64,
    resets: f64,
    delay: Delay,
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As its route says.
    Served,
    /// With this 5xx; nothing was done.
    Failed(u16),
    /// The connection is reset before the head, and nothing was done.
    ResetBefore,
    /// The connection is reset before the head, but what was asked for had been done.
    ResetAfter,
}

/// What befalls one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How long it takes.
    pub delay: Duration,
    /// How it ends.
    pub verdict: Verdict,
}

impl Faults {
    /// Faults of the given shares.
    pub fn new(seed: u64, errors: f64, resets: f64, delay: Delay) -> Result<Self, BadFaults> {
        let share = 0.0..=1.0;
        if !(share.contains(&errors) && share.contains(&resets) && share.contains(&(errors + resets))) {
            return Err(BadFaults::Shares { errors, resets });
        }
        Ok(Self { seed, errors, resets, delay })
    }

    /// What befalls the `n`-th request, from 0.
    pub fn fate(&self, n: u64) -> Fate {
        // The odd factor spreads neighbouring numbers over all bits before the generator mixes them.
        let mut rng = SmallRng::seed_from_u64(self.seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let delay = self.delay.draw(&mut rng);
        let luck: f64 = rng.random();
        let verdict = if luck < self.errors {
            Verdict::Failed(error(&mut rng))
        } else if luck < self.errors + self.resets {
            if rng.random() { Verdict::ResetBefore } else { Verdict::ResetAfter }
        } else {
            Verdict::Served
        };
        Fate { delay, verdict }
    }
}

fn error(rng: &mut SmallRng) -> u16 {
    let mut percent: u32 = rng.random_range(0..100);
    for (status, share) in ERRORS {
        match percent.checked_sub(share) {
            Some(rest) => percent = rest,
            None => return status,
        }
    }
    ERRORS[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Faults {
        Faults::new(seed, 0.05, 0.005, Delay::scaled(0.01).unwrap()).unwrap()
    }

    #[test]
    fn the_seed_decides_in_whatever_order_requests_come() {
        let (forth, back): (Vec<Fate>, Vec<Fate>) = (
            (0..500).map(|n| faults(7).fate(n)).collect(),
            (0..500).rev().map(|n| faults(7).fate(n)).collect(),
        );
        assert!(forth.iter().eq(back.iter().rev()));
        assert_ne!(forth, (0..500).map(|n| faults(8).fate(n)).collect::<Vec<_>>());
    }

    #[test]
    fn shares_and_delays_are_those_of_the_real_system() {
        let all: Vec<Fate> = (0..100_000).map(|n| faults(1).fate(n)).collect();
        let share = |wanted: fn(Verdict) -> bool| {
            all.iter().filter(|fate| wanted(fate.verdict)).count() as f64 / all.len() as f64
        };
        let errors = share(|v| matches!(v, Verdict::Failed(_)));
        let resets = share(|v| matches!(v, Verdict::ResetBefore | Verdict::ResetAfter));
        assert!((0.047..0.053).contains(&errors), "{errors}");
        assert!((0.004..0.006).contains(&resets), "{resets}");
        for status in [500, 502, 503, 504] {
            assert!(all.iter().any(|fate| fate.verdict == Verdict::Failed(status)), "no {status}");
        }
        let bounds = Duration::from_millis(20)..Duration::from_millis(200);
        assert!(all.iter().all(|fate| bounds.contains(&fate.delay)));
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        let delay = || Delay::scaled(0.0).unwrap();
        for (errors, resets) in [(-0.1, 0.0), (1.1, 0.0), (0.6, 0.6), (f64::NAN, 0.0)] {
            assert!(Faults::new(1, errors, resets, delay()).is_err(), "{errors} {resets}");
        }
        assert_eq!(Delay::scaled(-1.0), Err(BadFaults::Scale(-1.0)));
    }
}
