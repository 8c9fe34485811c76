//! Pauses between tries: exponential with full jitter, so that many readers do not come back all at once.

use std::time::Duration;

/// Pauses between tries.
#[derive(Debug)]
pub struct Backoff<R> {
    tries: u32,
    random: R,
}

impl<R: FnMut() -> f64> Backoff<R> {
    /// Upper bound of the first pause; it doubles with each try.
    pub const FIRST: Duration = Duration::from_millis(250);
    /// Upper bound of every pause.
    pub const MOST: Duration = Duration::from_secs(4);
    /// Lower bound of every pause, so that a peer that accepts and hangs up is not hammered.
    pub const LEAST: Duration = Duration::from_millis(50);

    /// Pauses drawn by `random`, which gives numbers from 0 to 1.
    pub const fn new(random: R) -> Self {
        Self { tries: 0, random }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let bound = Self::FIRST.saturating_mul(1 << self.tries.min(16)).min(Self::MOST);
        self.tries = self.tries.saturating_add(1);
        bound.mul_f64((self.random)().clamp(0.0, 1.0)).max(Self::LEAST)
    }

    /// Starts again from the shortest pause: the feed has proved to be one.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(|| 1.0);
        let millis: Vec<_> = (0..7).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(millis, [250, 500, 1000, 2000, 4000, 4000, 4000]);
        backoff.reset();
        assert_eq!(backoff.pause().as_millis(), 250);
    }

    #[test]
    fn no_pause_is_shorter_than_the_least() {
        let mut backoff = Backoff::new(|| 0.0);
        assert!((0..100).all(|_| backoff.pause() == Backoff::<fn() -> f64>::LEAST));
    }
}
