//! How one try ended, as the `outcome` label tells.

use crate::retry::Reason;

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// An answer, by the first digit of its status.
    Status(u16),
    /// It failed before an answer.
    Failed(Reason),
    /// The client went away first, or its body was broken.
    Cancelled,
}

/// What an outcome says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// It has more to do than it can.
    Overloaded,
    /// It takes no connection: nothing was delivered.
    Unreachable,
    /// Nothing: the cause lies elsewhere.
    None,
}

impl AttemptOutcome {
    pub(super) const NAMES: [&str; 11] = [
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

    /// The value of the `outcome` label.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Status(status) => usize::from(status / 100).clamp(1, 5) - 1,
            Self::Failed(Reason::Connect) => 5,
            Self::Failed(Reason::Reset) => 6,
            Self::Failed(Reason::Garbled) => 7,
            Self::Failed(Reason::Timeout) => 8,
            Self::Failed(Reason::IdleRace) => 9,
            // Statuses that are repeated count as answers.
            Self::Failed(Reason::Status429) => 3,
            Self::Failed(Reason::Status500 | Reason::Status502 | Reason::Status503 | Reason::Status504) => 4,
            Self::Cancelled => 10,
        }
    }

    /// What it says about the endpoint. A 501 or a 404 is an answer of one that works; 429 is one of an origin that
    /// works and has enough to do.
    pub fn sign(self) -> Sign {
        match self {
            Self::Status(429) => Sign::Overloaded,
            Self::Status(status) if Reason::of_status(status).is_some() => Sign::Bad,
            Self::Status(_) => Sign::Good,
            Self::Failed(Reason::Connect) => Sign::Unreachable,
            Self::Failed(Reason::IdleRace) | Self::Cancelled => Sign::None,
            Self::Failed(_) => Sign::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outcome_says_about_the_endpoint() {
        let check = |outcome: AttemptOutcome, expect: Sign| assert_eq!(outcome.sign(), expect, "{outcome:?}");
        check(AttemptOutcome::Status(200), Sign::Good);
        check(AttemptOutcome::Status(404), Sign::Good);
        check(AttemptOutcome::Status(501), Sign::Good);
        check(AttemptOutcome::Status(429), Sign::Overloaded);
        check(AttemptOutcome::Status(500), Sign::Bad);
        check(AttemptOutcome::Status(503), Sign::Bad);
        check(AttemptOutcome::Failed(Reason::Timeout), Sign::Bad);
        check(AttemptOutcome::Failed(Reason::Connect), Sign::Unreachable);
        check(AttemptOutcome::Failed(Reason::IdleRace), Sign::None);
        check(AttemptOutcome::Cancelled, Sign::None);
    }
}
