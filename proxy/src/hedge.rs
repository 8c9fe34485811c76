//! When a further try is made beside one that is slow: a pure decision over what is known.
//!
//! Two things speak for it. A try may be slower than such tries usually are: then it is probably lost, and the sooner
//! another one starts the better. Or the deadline may come so near that, should this try fail, the next one would be
//! too late: then both have to run at once, and the later the second one starts, the fewer are started for nothing.
//! So it starts as late as the deadline still allows, or later where the budget cannot pay for as many.

use std::time::{Duration, Instant};

use crate::latency::Outlook;
use crate::route::HedgePolicy;

/// Most tries of one request at the same time.
pub const MOST_AT_ONCE: usize = 3;

/// What is known when a try begins.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How long such tries take.
    pub outlook: &'a Outlook,
    /// When the try began.
    pub began: Instant,
    /// When the client's patience ends.
    pub deadline: Instant,
    /// What came before this try.
    pub before: Before,
    /// The share of requests for which the budget has a hedge.
    pub affordable: f64,
}

/// What came before a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it is the first.
    Nothing,
    /// A try that failed.
    Failure,
    /// One that is still under way beside this one.
    Beside,
}

/// When a further try is to begin if none has ended well by then; `None` means never.
pub fn when(policy: HedgePolicy, facts: &Facts<'_>) -> Option<Instant> {
    let soonest = [tail(policy, facts.outlook).map(|wait| facts.began + wait), insurance(facts)];
    let at = soonest.into_iter().flatten().min()?.max(facts.began + floor(policy, facts));
    // What could not finish is not started.
    (at + facts.outlook.least() < facts.deadline).then_some(at)
}

/// A try after a failure may be doubled at once: the floor is against haste with tries that are only slow.
fn floor(policy: HedgePolicy, facts: &Facts<'_>) -> Duration {
    if facts.before == Before::Failure { Duration::ZERO } else { policy.floor }
}

/// How long a try may take until it counts as slow.
fn tail(policy: HedgePolicy, outlook: &Outlook) -> Option<Duration> {
    let slow = outlook.quantile(policy.quantile)?;
    // A second try pays only if it is likely to overtake the first one. Where the slow ones are hardly slower than
    // the rest, the first one wins, unless it is lost altogether.
    let overtakes = |typical| outlook.quantile(0.99).is_none_or(|last| slow + typical < last);
    let pays = outlook.quantile(0.5).is_some_and(overtakes);
    Some(if pays { slow } else { outlook.hopeless() })
}

/// When a try has to have a second one beside it, lest its failure come too late for another.
fn insurance(facts: &Facts<'_>) -> Option<Instant> {
    let latest = facts.deadline.checked_sub(facts.outlook.surely()).unwrap_or(facts.began);
    match facts.before {
        Before::Beside => None,
        // Of those that have failed once there are few, and each needs it: no waiting for what the budget allows.
        Before::Failure => Some(latest.max(facts.began)),
        Before::Nothing => {
            // As many are slower than this as can be paid for.
            let share = 1.0 - facts.affordable.clamp(0.0, 1.0);
            let affordable = if share == 0.0 { Duration::ZERO } else { facts.outlook.quantile(share)? };
            Some(latest.max(facts.began + affordable))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HedgePolicy = HedgePolicy { quantile: 0.95, floor: Duration::from_millis(100) };

    fn seconds(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    /// Evenly distributed times between two bounds, in seconds.
    fn even(from: f64, to: f64, never: u64) -> Outlook {
        let step = |n: u32| seconds(from + (to - from) * f64::from(n) / 1000.0);
        Outlook::from_answers((0..1000).map(step), never)
    }

    struct Case<'a> {
        outlook: &'a Outlook,
        deadline: f64,
        before: Before,
        affordable: f64,
    }

    /// How long after the try's beginning, in seconds.
    fn wait(case: &Case<'_>) -> Option<f64> {
        let began = Instant::now();
        let facts = Facts {
            outlook: case.outlook,
            began,
            deadline: began + seconds(case.deadline),
            before: case.before,
            affordable: case.affordable,
        };
        when(POLICY, &facts).map(|at| at.duration_since(began).as_secs_f64())
    }

    #[test]
    fn the_hospital_is_hedged_as_late_as_deadline_and_budget_allow() {
        let hospital = even(2.0, 20.0, 0);
        let check = |deadline: f64, before: Before, affordable: f64, expect: Option<f64>| {
            let got = wait(&Case { outlook: &hospital, deadline, before, affordable });
            let same = match (got, expect) {
                (Some(got), Some(expect)) => (got - expect).abs() < 0.3,
                (got, expect) => got == expect,
            };
            assert!(same, "{deadline} {before:?} {affordable}: {got:?}, not {expect:?}");
        };
        // With a deadline of 30 s, a second try that begins at 10 s is surely in time.
        check(30.0, Before::Nothing, 1.0, Some(10.2));
        check(30.0, Before::Nothing, 0.7, Some(10.2));
        // With less to spend, only those are hedged that have waited longest.
        check(30.0, Before::Nothing, 0.2, Some(16.4));
        check(30.0, Before::Nothing, 0.0, Some(20.0));
        // Where another try after this one would be in time anyway, none is needed but for one that hangs.
        check(60.0, Before::Nothing, 1.0, Some(22.0));
        // After a failure, what is left is for two tries at once.
        check(45.0, Before::Failure, 0.0, Some(22.0));
        check(25.0, Before::Failure, 0.0, Some(5.2));
        check(14.0, Before::Failure, 0.0, Some(0.0));
        check(14.0, Before::Beside, 1.0, None);
        // What cannot finish is not started.
        check(2.5, Before::Failure, 1.0, None);
    }

    #[test]
    fn a_hung_try_is_hedged_as_soon_as_it_is_slower_than_usual() {
        let quick_or_never = even(0.1, 0.3, 20);
        let first =
            Case { outlook: &quick_or_never, deadline: 30.0, before: Before::Nothing, affordable: 0.2 };
        assert!((wait(&first).unwrap() - 0.29).abs() < 0.02);
        // A hedge that hangs, too, is hedged in its turn.
        let second = Case { before: Before::Beside, ..first };
        assert!((wait(&second).unwrap() - 0.29).abs() < 0.02);
    }

    #[test]
    fn a_long_tail_is_hedged_at_the_quantile_and_never_below_the_floor() {
        let long = Outlook::from_answers((0..1000).map(|n| seconds(if n < 950 { 0.2 } else { 4.0 })), 0);
        let case = Case { outlook: &long, deadline: 30.0, before: Before::Nothing, affordable: 0.2 };
        assert_eq!(wait(&case), Some(0.2));
        let quick = Outlook::from_answers((0..1000).map(|n| seconds(if n < 950 { 0.001 } else { 4.0 })), 0);
        assert_eq!(wait(&Case { outlook: &quick, ..case }), Some(0.1));
    }
}
