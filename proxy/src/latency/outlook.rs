//! What is known of how long tries take: the share that has its answer by a given time.
//!
//! A try that was given up says only that it would have taken longer. Leaving it out would make a slow origin look
//! quick, and counting it as an answer would make a hung one look slow. So the shares are estimated as Kaplan and
//! Meier have shown: at each time, the share that answers among those still waiting then.

use std::time::Duration;

use super::Generation;

/// Parts into which the tries are divided.
const PARTS: usize = 200;
/// Of a share of tries that never answer, as far as is known.
const NEVER: u32 = u32::MAX;

/// What is known of how long tries take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// By which time, in microseconds, each part of the tries has its answer.
    within: Box<[u32; PARTS]>,
    slowest: u32,
}

/// How long the slowest answers seen at all may be expected to take beyond that.
const BEYOND: f64 = 1.1;

impl Outlook {
    /// From what was seen; `None` if no answer was.
    pub(super) fn of<'a>(generations: impl Iterator<Item = &'a Generation>) -> Option<Self> {
        let mut times: Vec<(u64, u64, u64)> = Vec::new();
        for one in generations {
            let values = |h: &'a hdrhistogram::Histogram<u32>| {
                h.iter_recorded().map(|v| (v.value_iterated_to(), v.count_since_last_iteration()))
            };
            times.extend(values(&one.answered).map(|(time, n)| (time, n, 0)));
            times.extend(values(&one.given_up).map(|(time, n)| (time, 0, n)));
        }
        Self::estimate(&mut times)
    }

    /// From `(time in microseconds, answered then, given up then)`.
    fn estimate(times: &mut [(u64, u64, u64)]) -> Option<Self> {
        times.sort_unstable();
        let mut waiting: u64 = times.iter().map(|(_, answered, given_up)| answered + given_up).sum();
        let mut within = Box::new([NEVER; PARTS]);
        let (mut left, mut part, mut slowest) = (1.0, 0, None);
        for &(time, answered, given_up) in times.iter() {
            let micros = u32::try_from(time).unwrap_or(NEVER - 1);
            if answered > 0 {
                left *= 1.0 - answered as f64 / waiting as f64;
                slowest = Some(micros);
            }
            waiting -= answered + given_up;
            // A trifle is added because the product of many fractions is not exact.
            let reached = ((1.0 - left + 1e-9) * PARTS as f64) as usize;
            within[part.min(PARTS)..reached.min(PARTS)].fill(micros);
            part = part.max(reached);
        }
        slowest.map(|slowest| Self { within, slowest })
    }

    /// By when `share` of the tries have their answers; `None` if so many never have, as far as is known.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let part = (share.clamp(0.0, 1.0) * PARTS as f64).ceil() as usize;
        let micros = self.within[part.clamp(1, PARTS) - 1];
        (micros != NEVER).then(|| Duration::from_micros(u64::from(micros)))
    }

    /// What the slowest answer took.
    pub fn slowest(&self) -> Duration {
        Duration::from_micros(u64::from(self.slowest))
    }

    /// By when whoever answers at all has answered.
    pub fn surely(&self) -> Duration {
        self.quantile(0.99).unwrap_or_else(|| self.slowest())
    }

    /// From when on there is no hope for an answer.
    pub fn hopeless(&self) -> Duration {
        self.slowest().mul_f64(BEYOND)
    }

    /// In less than this, hardly any try has its answer: one in twenty.
    pub fn least(&self) -> Duration {
        self.quantile(0.05).unwrap_or_else(|| self.slowest())
    }

    #[cfg(test)]
    pub(crate) fn from_answers(times: impl IntoIterator<Item = Duration>, never: u64) -> Self {
        let mut all: Vec<_> = times.into_iter().map(|time| (time.as_micros() as u64, 1, 0)).collect();
        let last = all.iter().map(|(time, ..)| *time).max().unwrap_or(1);
        all.push((last + 1, 0, never));
        Self::estimate(&mut all).expect("a test gives at least one answer")
    }
}
