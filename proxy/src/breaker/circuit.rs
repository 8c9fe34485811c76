//! When the breaker opens, what it lets through, and when it closes: pure, time is an argument.

use std::time::{Duration, Instant};

/// When the breaker opens and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row, over all endpoints, that open it; 0 never does.
    pub failures: u32,
    /// Connections in a row that could not be made, over all endpoints, that open it; 0 never does.
    pub refusals: u32,
    /// From one attempt to find out whether the origins are back to the next.
    pub probe_interval: Duration,
    /// For how long requests wait for origins that take no connections, before they are told at once.
    pub hold: Duration,
}

/// Why it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Requests are taken and fail.
    Failing,
    /// No connection can be made: nothing was delivered, and most likely somebody restarts.
    Unreachable,
}

impl Cause {
    /// The value of the `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What is to become of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Pass,
    /// It waits, at most until then.
    Hold(Instant),
    /// It is not made.
    Refuse(Cause),
}

/// What an outcome has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The breaker has opened.
    Opened(Cause),
    /// It stays open: who waits for the outcome of a probe waits in vain.
    ProbeFailed,
    /// It has closed.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        /// Failures of any kind since the last success.
        failures: u32,
        /// Connections that could not be made since the last one that could.
        refusals: u32,
        /// When the first of those was noticed.
        refused_since: Option<Instant>,
    },
    Open {
        since: Instant,
        cause: Cause,
        next_probe: Instant,
        /// When the oldest probe was sent that has not ended, as far as is known.
        probing: Option<Instant>,
    },
}

/// A probe that takes this many times as long as failures do is most likely being served.
const PROMISING: u32 = 3;
/// Where failures come at least this fast, everybody waits for the probe: it costs nobody more than a moment.
const MOMENT: Duration = Duration::from_millis(50);
/// Share of the latest failure in how long failures take.
const LATEST: f64 = 0.2;

const CALM: State = State::Closed { failures: 0, refusals: 0, refused_since: None };

/// The state of a breaker.
#[derive(Clone, Debug)]
pub struct Circuit {
    config: BreakerConfig,
    state: State,
    /// How long failures take; `None` before the first one.
    failing_takes: Option<Duration>,
}

impl Circuit {
    /// Closed.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: CALM, failing_takes: None }
    }

    /// Whether only a failure could change anything.
    pub fn is_calm(&self) -> bool {
        self.state == CALM
    }

    /// Why it is open, if it is.
    pub fn cause(&self) -> Option<Cause> {
        match self.state {
            State::Open { cause, .. } => Some(cause),
            State::Closed { .. } => None,
        }
    }

    /// Whether a try may be made now. While it is open, one may once in a while. That is one that may be repeated, as
    /// long as there are any: it is likely to fail. All others wait for what comes of it, if they hear soon or if it
    /// takes longer than failures do.
    pub fn admit(&mut self, now: Instant, harmless: bool) -> Verdict {
        let State::Open { since, cause, next_probe, probing } = &mut self.state else { return Verdict::Pass };
        let BreakerConfig { probe_interval, hold, .. } = self.config;
        let failing_takes = self.failing_takes.unwrap_or_default();
        let patience = if failing_takes <= MOMENT { Duration::ZERO } else { failing_takes * PROMISING };
        match (*cause, *probing) {
            (Cause::Unreachable, _) if now < *since + hold => Verdict::Hold(*since + hold),
            // Whether connections can be made is found out without anybody's request.
            (Cause::Unreachable, _) => Verdict::Refuse(Cause::Unreachable),
            (Cause::Failing, _)
                if now >= if harmless { *next_probe } else { *next_probe + probe_interval } =>
            {
                *next_probe = now + probe_interval;
                probing.get_or_insert(now);
                Verdict::Pass
            }
            (Cause::Failing, Some(sent)) if (sent + patience..sent + hold).contains(&now) => {
                Verdict::Hold(sent + hold)
            }
            (Cause::Failing, _) => Verdict::Refuse(Cause::Failing),
        }
    }

    /// A try that began at `started` was answered as it should be. What began before the breaker opened says nothing
    /// about what would be answered now.
    pub fn succeeded(&mut self, started: Instant) -> Option<Change> {
        match &mut self.state {
            State::Open { since, .. } if started < *since => None,
            State::Open { .. } => self.close(),
            State::Closed { failures, .. } => {
                *failures = 0;
                self.connected(started)
            }
        }
    }

    /// A connection was made, or one was of use, that was begun at `started`. An origin that goes ends what it has
    /// begun and takes nothing new: only what began after the first refusal tells that it takes something.
    pub fn connected(&mut self, started: Instant) -> Option<Change> {
        match &mut self.state {
            State::Open { since, cause: Cause::Unreachable, .. } if started >= *since => self.close(),
            State::Open { .. } => None,
            State::Closed { refusals, refused_since, .. } => {
                if refused_since.is_some_and(|since| started >= since) {
                    (*refusals, *refused_since) = (0, None);
                }
                None
            }
        }
    }

    /// A try failed that began at `started`.
    pub fn failed(&mut self, cause: Cause, started: Instant, now: Instant) -> Option<Change> {
        let took = now.saturating_duration_since(started);
        let usual = self.failing_takes.get_or_insert(took);
        *usual = usual.mul_f64(1.0 - LATEST) + took.mul_f64(LATEST);
        let (failures, refusals, refused_since) = match &mut self.state {
            State::Closed { failures, refusals, refused_since } => (failures, refusals, refused_since),
            State::Open { probing, .. } => {
                let probe = probing.take_if(|sent| started >= *sent);
                return probe.map(|_| Change::ProbeFailed);
            }
        };
        *failures = failures.saturating_add(1);
        match cause {
            Cause::Unreachable => {
                *refusals = refusals.saturating_add(1);
                refused_since.get_or_insert(now);
            }
            Cause::Failing => (*refusals, *refused_since) = (0, None),
        }
        let over = |n: u32, most: u32| most > 0 && n >= most;
        let cause = if over(*refusals, self.config.refusals) {
            Cause::Unreachable
        } else if over(*failures, self.config.failures) {
            Cause::Failing
        } else {
            return None;
        };
        let next_probe = now + self.config.probe_interval;
        self.state = State::Open { since: now, cause, next_probe, probing: None };
        Some(Change::Opened(cause))
    }

    fn close(&mut self) -> Option<Change> {
        self.state = CALM;
        Some(Change::Closed)
    }
}

#[cfg(test)]
mod tests;
