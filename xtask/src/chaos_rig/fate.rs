//! What befalls one attempt. Pure: scenario, seed, id and attempt decide, so that every proxy meets the same
//! fate with the n-th attempt of a request, whenever it makes it.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::content::spread;
use super::scenario::{Ask, Mishap, Scenario};

/// Statuses of failures, as likely as each other.
const ERRORS: [u16; 4] = [500, 502, 503, 504];
/// Statuses of an origin that asks for patience.
const BUSY: [u16; 2] = [429, 503];
/// How long a slow body takes, in seconds of the real system.
const TRICKLE: std::ops::Range<f64> = 5.0..20.0;

/// One attempt of one request, as it arrives at an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// The request.
    pub id: u64,
    /// Its attempts before this one.
    pub number: u32,
    /// What it asks for.
    pub ask: Ask,
    /// The endpoint at which it arrives.
    pub endpoint: usize,
}

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fate {
    /// How long until the head, or until what comes in its stead.
    pub delay: Duration,
    /// How it ends.
    pub end: End,
    /// Whether a write is applied, however it ends.
    pub applied: bool,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// As it should.
    Served,
    /// With this status.
    Failed(u16),
    /// With this status and `Retry-After: 1`.
    Busy(u16),
    /// The connection is reset before the head.
    Reset,
    /// What comes is no HTTP.
    Garbage,
    /// Nothing comes.
    Hung,
    /// The body breaks off after this share; by a reset, or as if the connection had ended in order.
    Cut {
        /// How much of the body arrives.
        share: f64,
        /// Whether the connection is reset.
        reset: bool,
    },
    /// The body takes this long.
    Trickle(Duration),
    /// The body stops after this share, and the connection stays.
    Stalled(f64),
}

impl Fate {
    /// What befalls `attempt`.
    pub(super) fn draw(scenario: &Scenario, seed: u64, attempt: Attempt) -> Self {
        let of_request = spread(seed ^ spread(attempt.id));
        let mut rng = SmallRng::seed_from_u64(spread(of_request ^ u64::from(attempt.number)));
        // Everything is drawn, needed or not, so that the delay does not depend on the fault.
        let within = |range: &std::ops::Range<f64>, at: f64| range.start + at * (range.end - range.start);
        let delay = scenario.scaled(within(&scenario.latency, rng.random()));
        let luck: f64 = rng.random();
        let share = within(&(0.05..0.95), rng.random());
        let applied = rng.random::<f64>() < scenario.writes.applied;
        let reset: bool = rng.random();
        let pick = rng.random::<u16>() as usize;
        let slow = scenario.scaled(within(&TRICKLE, rng.random()));

        let end = match mishap(scenario, attempt, luck) {
            None => End::Served,
            Some(Mishap::Error) => End::Failed(ERRORS[pick % ERRORS.len()]),
            Some(Mishap::Busy) => End::Busy(BUSY[pick % BUSY.len()]),
            Some(Mishap::Reset) => End::Reset,
            Some(Mishap::Garbage) => End::Garbage,
            Some(Mishap::Hang) => End::Hung,
            // The answer to a write is a few bytes, which come together.
            Some(Mishap::Cut | Mishap::Trickle | Mishap::Stall) if attempt.ask.writes() => End::Served,
            Some(Mishap::Cut) => End::Cut { share, reset },
            Some(Mishap::Trickle) => End::Trickle(slow),
            Some(Mishap::Stall) => End::Stalled(share),
        };
        match end {
            End::Busy(_) => Self { delay: Duration::ZERO, end, applied: false },
            End::Served => Self { delay, end, applied: true },
            _ => Self { delay, end, applied },
        }
    }
}

fn mishap(scenario: &Scenario, attempt: Attempt, mut luck: f64) -> Option<Mishap> {
    let mine = |endpoint: Option<usize>| endpoint.is_none_or(|endpoint| endpoint == attempt.endpoint);
    for fault in scenario.faults.iter().filter(|fault| mine(fault.endpoint)) {
        if luck < fault.share {
            return Some(fault.mishap);
        }
        luck -= fault.share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{SCENARIOS, find};
    use super::*;

    fn draw(name: &str, seed: u64, id: u64, number: u32) -> Fate {
        let attempt = Attempt { id, number, ask: Ask::Read, endpoint: 0 };
        Fate::draw(find(name).unwrap(), seed, attempt)
    }

    #[test]
    fn seed_id_and_attempt_decide_and_nothing_else() {
        let all = |seed| (0..300).map(|id| draw("errors-30", seed, id, 0)).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert_ne!(draw("errors-30", 1, 5, 0).delay, draw("errors-30", 1, 5, 1).delay);
    }

    #[test]
    fn a_second_attempt_fails_as_seldom_as_a_first() {
        let failed = |id: &u64| draw("errors-30", 1, *id, 0).end != End::Served;
        let unlucky: Vec<u64> = (0..100_000).filter(failed).collect();
        let twice = unlucky.iter().filter(|&&id| draw("errors-30", 1, id, 1).end != End::Served).count();
        assert!((4_700..5_300).contains(&unlucky.len()), "{}", unlucky.len());
        assert!((190..310).contains(&twice), "{twice}");
    }

    #[test]
    fn delays_are_the_real_systems_scaled() {
        let delays: Vec<_> = (0..10_000).map(|id| draw("errors-30", 1, id, 0).delay).collect();
        let bounds = Duration::from_millis(100)..Duration::from_secs(1);
        assert!(delays.iter().all(|delay| bounds.contains(delay)));
        let mean = delays.iter().sum::<Duration>() / 10_000;
        assert!((540..560).contains(&mean.as_millis()), "{mean:?}");
    }

    #[test]
    fn a_fault_of_one_endpoint_leaves_the_other_alone() {
        let ends = |endpoint| {
            let attempt = |id| Attempt { id, number: 0, ask: Ask::Read, endpoint };
            let scenario = find("bad-endpoint").unwrap();
            (0..1000).filter(|&id| Fate::draw(scenario, 1, attempt(id)).end != End::Served).count()
        };
        assert_eq!(ends(0), 0);
        assert!((750..850).contains(&ends(1)), "{}", ends(1));
    }

    #[test]
    fn a_write_that_succeeds_is_applied_and_one_told_to_wait_is_not() {
        for scenario in &SCENARIOS {
            for id in 0..500 {
                let attempt = Attempt { id, number: 0, ask: Ask::Write, endpoint: 0 };
                let fate = Fate::draw(scenario, 1, attempt);
                assert!(fate.applied || fate.end != End::Served, "{}: {fate:?}", scenario.name);
                assert!(!fate.applied || !matches!(fate.end, End::Busy(_)), "{}: {fate:?}", scenario.name);
            }
        }
    }
}
