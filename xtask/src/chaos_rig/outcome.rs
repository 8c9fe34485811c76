//! What became of a client's request.

use std::fmt;
use std::time::Duration;

use super::schedule::Planned;

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The right answer, whole and in time.
    Served,
    /// Another status than the right one.
    Status(u16),
    /// The right status and a body that looks whole, but is not the right one.
    WrongBody,
    /// The body broke off, and the client can tell.
    CutBody,
    /// What came was no HTTP.
    Garbled,
    /// The connection ended before a head.
    Unanswered,
    /// The right answer, whole, and after the client's time.
    Late,
    /// Given up by the client.
    TimedOut,
    /// No connection could be made.
    Unsent,
}

impl Outcome {
    /// The same, of an exchange that took `latency` where the client had `patience`: what comes later is no success.
    pub(super) fn within(self, patience: Duration, latency: Duration) -> Self {
        if self == Self::Served && latency > patience { Self::Late } else { self }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served",
            Self::Status(status) => return status.fmt(f),
            Self::WrongBody => "wrong body",
            Self::CutBody => "cut",
            Self::Garbled => "garbled",
            Self::Unanswered => "no answer",
            Self::Late => "too late",
            Self::TimedOut => "timed out",
            Self::Unsent => "no connection",
        })
    }
}

/// One request, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// As it was planned.
    pub planned: Planned,
    /// What became of it.
    pub outcome: Outcome,
    /// From the scheduled time to the answer's last byte, or to the failure.
    pub latency: Duration,
    /// From the scheduled time to its start: what the machine took.
    pub late: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_in_time_is_a_success() {
        let check = |outcome: Outcome, ms: u64, expect: Outcome| {
            let limit = Duration::from_millis(1500);
            assert_eq!(outcome.within(limit, Duration::from_millis(ms)), expect, "{outcome} after {ms} ms");
        };
        check(Outcome::Served, 1500, Outcome::Served);
        check(Outcome::Served, 1501, Outcome::Late);
        check(Outcome::Status(504), 1501, Outcome::Status(504));
    }
}
