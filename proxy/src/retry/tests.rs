//! The policy as a table: one row, one sentence.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy { tries: 5, backoff: Backoff::Fixed(SECOND) }
}

/// A GET that failed once on a fresh connection, 10 s before its deadline.
fn facts(reason: Reason) -> Facts {
    let now = Instant::now();
    Facts {
        reason,
        delivery: Delivery::Possible,
        reused: false,
        repeat: Repeat::Harmless,
        replayable: true,
        tries: 1,
        raced: false,
        retry_after: None,
        now,
        deadline: now + 10 * SECOND,
        least: Duration::ZERO,
    }
}

#[test]
fn decisions() {
    use Delivery::Nothing;
    use Repeat::Harmful;
    let check = |name: &str, facts: Facts, expect: Plan| {
        assert_eq!(policy().plan(&facts, 0.5), expect, "{name}");
    };
    let after = |seconds: u32| Plan::After(seconds * SECOND);

    for reason in Reason::ALL.into_iter().filter(|r| *r != Reason::IdleRace) {
        check("an idempotent request is repeated", facts(reason), after(1));
        let write = Facts { repeat: Harmful, ..facts(reason) };
        check("a write that may have arrived is not", write, Plan::Stop(Denied::NotIdempotent));
    }
    let refused = Facts { repeat: Harmful, delivery: Nothing, ..facts(Reason::Connect) };
    check("a write that found no connection is repeated", refused, after(1));
    let late = Facts { tries: 5, ..facts(Reason::Status503) };
    check("the fifth try is the last", late, Plan::Stop(Denied::Tries));
    let gone = Facts { replayable: false, ..facts(Reason::Reset) };
    check("a body that is gone cannot be sent again", gone, Plan::Stop(Denied::Body));

    let race = Facts { reused: true, delivery: Nothing, ..facts(Reason::IdleRace) };
    check("an idle race is repeated for nothing", race, Plan::Free);
    check("even for a write", Facts { repeat: Harmful, ..race }, Plan::Free);
    check("even on the last try", Facts { tries: 5, ..race }, Plan::Free);
    check("but only once", Facts { raced: true, ..race }, after(1));
    check("and not after the deadline", Facts { deadline: race.now, ..race }, Plan::Stop(Denied::Deadline));

    let stale = Facts { reused: true, ..facts(Reason::Reset) };
    check("a reset on a reused connection is repeated at once", stale, Plan::After(Duration::ZERO));
    check("the next one waits", Facts { tries: 2, ..stale }, after(1));

    let asked = Facts { retry_after: Some(4 * SECOND), ..facts(Reason::Status503) };
    check("Retry-After replaces the back-off", asked, after(4));
    let long = Facts { retry_after: Some(10 * SECOND), ..asked };
    check("a Retry-After beyond the deadline ends it", long, Plan::Stop(Denied::Deadline));
    let endless = Facts { retry_after: Some(Duration::MAX), ..asked };
    check("so does an absurd one", endless, Plan::Stop(Denied::Deadline));
    let slow =
        Facts { tries: 4, deadline: asked.now + 2 * SECOND, least: 4 * SECOND, ..facts(Reason::Reset) };
    check("nor is one that could not finish in time", slow, Plan::Stop(Denied::Deadline));
    check("but is where it could", Facts { deadline: asked.now + 6 * SECOND, ..slow }, after(1));
    let tight = Facts { deadline: asked.now + SECOND, ..facts(Reason::Reset) };
    check("a try that cannot start in time is not started", tight, Plan::Stop(Denied::Deadline));
}

#[test]
fn only_idempotent_methods_and_keyed_requests_are_harmless() {
    let check = |method: &str, key: Option<&str>, expect: Repeat| {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert("idempotency-key", key.parse().unwrap());
        }
        assert_eq!(Repeat::of(&method.parse().unwrap(), &headers), expect, "{method} {key:?}");
    };
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        check(method, None, Repeat::Harmless);
    }
    for method in ["POST", "PATCH", "PROPFIND", "get"] {
        check(method, None, Repeat::Harmful);
    }
    check("POST", Some("8e03978e"), Repeat::Harmless);
    check("POST", Some(""), Repeat::Harmful);
}

#[test]
fn the_cap_of_the_jitter_doubles_up_to_its_maximum() {
    let backoff = Backoff::FullJitter { base: SECOND / 10, max: 3 * SECOND };
    let caps: Vec<u128> = (1..=7).map(|tries| backoff.pause(tries, 1.0).as_millis()).collect();
    assert_eq!(caps, [100, 200, 400, 800, 1600, 3000, 3000]);
    assert_eq!(backoff.pause(3, 0.0), Duration::ZERO);
    assert_eq!(backoff.pause(3, 0.5).as_millis(), 200);
}

proptest! {
    #[test]
    fn a_write_that_may_have_arrived_is_never_sent_again(
        reason in proptest::sample::select(Reason::ALL.to_vec()),
        (reused, replayable, raced) in any::<(bool, bool, bool)>(),
        tries in 1u32..8,
        jitter in 0.0..1.0f64,
    ) {
        let write = Facts { repeat: Repeat::Harmful, reused, replayable, raced, tries, ..facts(reason) };
        prop_assert_eq!(policy().plan(&write, jitter), Plan::Stop(Denied::NotIdempotent));
    }

    #[test]
    fn no_planned_try_starts_after_the_deadline(
        reason in proptest::sample::select(Reason::ALL.to_vec()),
        (asked, left) in (proptest::option::of(0u64..100), 0u64..20),
        tries in 1u32..8,
        jitter in 0.0..1.0f64,
    ) {
        let mut facts = Facts { tries, retry_after: asked.map(Duration::from_secs), ..facts(reason) };
        facts.deadline = facts.now + Duration::from_secs(left);
        if let Plan::After(pause) = policy().plan(&facts, jitter) {
            prop_assert!(facts.now + pause < facts.deadline);
        }
    }
}
