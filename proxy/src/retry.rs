//! Whether and when a failed try is repeated: a pure decision over facts. Nothing here sends or waits.
//!
//! [`crate::exchange`] gathers the [`Facts`], asks [`Policy::plan`], draws on the budget and carries it out.

mod retry_after;

use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method};

pub use retry_after::retry_after;

use crate::route::RepeatRule;

/// What went wrong with one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No connection: name not resolved, refused, or too slow.
    Connect,
    /// The connection ended before the answer's head was complete.
    Reset,
    /// What came was no HTTP answer.
    Garbled,
    /// No head within the time for one try.
    Timeout,
    /// The origin answered 429, and said when to come again.
    Status429,
    /// The origin answered 500.
    Status500,
    /// The origin answered 502.
    Status502,
    /// The origin answered 503.
    Status503,
    /// The origin answered 504.
    Status504,
    /// A pooled connection was closed before one byte of the request was written to it.
    IdleRace,
}

impl Reason {
    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::Reset,
        Self::Garbled,
        Self::Timeout,
        Self::Status429,
        Self::Status500,
        Self::Status502,
        Self::Status503,
        Self::Status504,
        Self::IdleRace,
    ];

    /// The value of the `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Garbled => "garbled",
            Self::Timeout => "timeout",
            Self::Status429 => "status_429",
            Self::Status500 => "status_500",
            Self::Status502 => "status_502",
            Self::Status503 => "status_503",
            Self::Status504 => "status_504",
            Self::IdleRace => "idle_race",
        }
    }

    /// Position in [`Reason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason for which an answer with this status is repeated, if it is.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            500 => Some(Self::Status500),
            502 => Some(Self::Status502),
            503 => Some(Self::Status503),
            504 => Some(Self::Status504),
            _ => None,
        }
    }

    /// The same of a whole answer: a 429 is for the client, unless it says when to come again.
    pub fn of_answer(status: u16, headers: &HeaderMap) -> Option<Self> {
        match status {
            429 if headers.contains_key(RETRY_AFTER) => Some(Self::Status429),
            _ => Self::of_status(status),
        }
    }
}

/// Why a retry that was wanted is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The origin may have acted on the request, and acting twice could do harm.
    NotIdempotent,
    /// The request's body is gone: too large to be held.
    Body,
    /// All tries are used up.
    Tries,
    /// The next try could not finish before the deadline.
    Deadline,
    /// The budget is used up.
    Budget,
    /// Everything fails, whoever asks.
    Breaker,
}

impl Denied {
    /// Every denial, in the order of [`Denied::index`].
    pub const ALL: [Self; 6] =
        [Self::NotIdempotent, Self::Body, Self::Tries, Self::Deadline, Self::Budget, Self::Breaker];

    /// The value of the `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIdempotent => "not_idempotent",
            Self::Body => "body",
            Self::Tries => "tries",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
            Self::Breaker => "breaker",
        }
    }

    /// Position in [`Denied::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Whether the origin can have seen anything of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Provably not one byte was written to a connection.
    Nothing,
    /// Something may have arrived.
    Possible,
}

/// Whether repeating a request can do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Sending it twice means the same as sending it once.
    Harmless,
    /// It may take effect twice.
    Harmful,
}

impl Repeat {
    /// Of a request: harmless for idempotent methods (RFC 9110 §9.2.2), and for any method whose client
    /// vouches for it with an `Idempotency-Key`.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let keyed = || headers.get("idempotency-key").is_some_and(|key| !key.is_empty());
        if method.is_idempotent() || keyed() { Self::Harmless } else { Self::Harmful }
    }

    /// The same once the route's rule is heard.
    pub fn under(self, rule: RepeatRule) -> Self {
        match rule {
            RepeatRule::Idempotent => self,
            RepeatRule::Always => Self::Harmless,
            RepeatRule::Never => Self::Harmful,
        }
    }
}

/// What is known when a try has failed.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What went wrong.
    pub reason: Reason,
    /// Whether the origin can have seen anything of the request in this try.
    pub delivery: Delivery,
    /// Whether the connection had served another request before.
    pub reused: bool,
    /// Whether repeating the request can do harm.
    pub repeat: Repeat,
    /// Whether the whole body can be sent again.
    pub replayable: bool,
    /// Tries made so far, this one included.
    pub tries: u32,
    /// Whether this request has already had its free retry after an idle race.
    pub raced: bool,
    /// The pause that the origin asks for.
    pub retry_after: Option<Duration>,
    /// The time now.
    pub now: Instant,
    /// When the client's patience ends.
    pub deadline: Instant,
    /// In less than this, hardly any try has its answer, as far as is known.
    pub least: Duration,
}

/// What to do about a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Try again at once on a fresh connection, without drawing on the budget.
    Free,
    /// Try again after a pause, if the budget allows it.
    After(Duration),
    /// Do not try again.
    Stop(Denied),
}

/// The pause before a further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Uniformly random between zero and a cap that starts at `base` and doubles with each try up to `max`.
    FullJitter {
        /// Cap of the first pause.
        base: Duration,
        /// Cap of every pause.
        max: Duration,
    },
    /// Always the same.
    Fixed(Duration),
}

impl Backoff {
    /// The pause after `tries` tries; `jitter` is uniform in 0..1.
    pub fn pause(self, tries: u32, jitter: f64) -> Duration {
        match self {
            Self::Fixed(pause) => pause,
            Self::FullJitter { base, max } => {
                let doubled = base.saturating_mul(1 << tries.saturating_sub(1).min(20));
                doubled.min(max).mul_f64(jitter.clamp(0.0, 1.0))
            }
        }
    }
}

impl Backoff {
    /// What is added to a pause that the origin asks for.
    fn spread(self, jitter: f64) -> Duration {
        match self {
            Self::Fixed(_) => Duration::ZERO,
            Self::FullJitter { base, .. } => base.mul_f64(jitter.clamp(0.0, 1.0)),
        }
    }
}

/// How failed tries are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all, the first included.
    pub tries: u32,
    /// Pause before each further try.
    pub backoff: Backoff,
}

impl Policy {
    /// Decides about a failed try; `jitter` is uniform in 0..1.
    pub fn plan(&self, facts: &Facts, jitter: f64) -> Plan {
        if facts.repeat == Repeat::Harmful && facts.delivery == Delivery::Possible {
            return Plan::Stop(Denied::NotIdempotent);
        }
        if !facts.replayable {
            return Plan::Stop(Denied::Body);
        }
        let now_is_early_enough = facts.now < facts.deadline;
        if facts.reason == Reason::IdleRace && !facts.raced && now_is_early_enough {
            return Plan::Free;
        }
        if facts.tries >= self.tries {
            return Plan::Stop(Denied::Tries);
        }
        let pause = match facts.retry_after {
            // At random within a while after the time that all are told, so that they do not all come at once.
            Some(asked) => asked.saturating_add(self.backoff.spread(jitter)),
            // The pool's connection was stale, most likely; a fresh one need not wait for that.
            None if facts.reused && facts.reason == Reason::Reset && facts.tries == 1 => Duration::ZERO,
            None => self.backoff.pause(facts.tries, jitter),
        };
        let soonest = pause.saturating_add(facts.least);
        if facts.now.checked_add(soonest).is_none_or(|end| end >= facts.deadline) {
            return Plan::Stop(Denied::Deadline);
        }
        Plan::After(pause)
    }
}

#[cfg(test)]
mod tests;
