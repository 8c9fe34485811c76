//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks; short beside anything that is waited for here.
const PAUSE: Duration = Duration::from_millis(20);

/// A condition did not come true in time.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: not within {}", humantime::format_duration(*.within))]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub within: Duration,
}

/// Calls `look` until it gives a value, or until `within` has passed. It looks at least once.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T, TimedOut> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = look() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(TimedOut { what: what.to_owned(), within });
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_until_there_is_a_value() {
        let mut left = 3;
        let got = until("three looks", Duration::from_secs(60), || {
            left -= 1;
            (left == 0).then_some("seen")
        });
        assert_eq!(got.unwrap(), "seen");
    }

    #[test]
    fn a_condition_that_never_holds_is_named() {
        let error = until("the sun rises", Duration::ZERO, || None::<()>).unwrap_err();
        assert_eq!(error.to_string(), "the sun rises: not within 0s");
    }
}
