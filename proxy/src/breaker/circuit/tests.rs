//! The breaker, step by step.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);
const CONFIG: BreakerConfig = BreakerConfig {
    failures: 20,
    refusals: 5,
    probe_interval: Duration::from_millis(500),
    hold: Duration::from_secs(10),
};

fn opened(cause: Cause, now: Instant) -> Circuit {
    let mut circuit = Circuit::new(CONFIG);
    let change = (0..20).find_map(|_| circuit.failed(cause, now, now));
    assert_eq!(change, Some(Change::Opened(cause)));
    circuit
}

#[test]
fn failures_in_a_row_open_it_and_a_success_in_between_does_not() {
    let now = Instant::now();
    let mut circuit = Circuit::new(CONFIG);
    for _ in 0..3 {
        assert!((0..19).all(|_| circuit.failed(Cause::Failing, now, now).is_none()));
        assert_eq!(circuit.succeeded(now), None);
    }
    assert!(circuit.is_calm());
    assert_eq!(circuit.admit(now, true), Verdict::Pass);
}

#[test]
fn while_it_is_open_one_try_passes_in_each_interval() {
    let start = Instant::now();
    let mut circuit = opened(Cause::Failing, start);
    let passed: Vec<u32> =
        (0..2000).filter(|&ms| circuit.admit(start + ms * MS, true) == Verdict::Pass).collect();
    assert_eq!(passed, [500, 1000, 1500]);
}

#[test]
fn a_write_finds_out_only_where_nothing_else_does() {
    let start = Instant::now();
    let mut circuit = opened(Cause::Failing, start);
    assert_eq!(circuit.admit(start + 999 * MS, false), Verdict::Refuse(Cause::Failing));
    assert_eq!(circuit.admit(start + 1000 * MS, false), Verdict::Pass);
    assert_eq!(circuit.admit(start + 1500 * MS, true), Verdict::Pass);
}

#[test]
fn the_first_success_of_what_began_since_closes_it() {
    let start = Instant::now();
    let mut circuit = opened(Cause::Failing, start);
    assert_eq!(circuit.succeeded(start - MS), None, "it was under way already");
    assert_eq!(circuit.failed(Cause::Failing, start, start + 500 * MS), None);
    assert_eq!(circuit.succeeded(start + 500 * MS), Some(Change::Closed));
    assert!(circuit.is_calm());
}

#[test]
fn a_probe_that_takes_longer_than_failures_do_is_worth_waiting_for() {
    let start = Instant::now();
    let mut circuit = Circuit::new(CONFIG);
    for _ in 0..20 {
        circuit.failed(Cause::Failing, start - 100 * MS, start);
    }
    let sent = start + 500 * MS;
    assert_eq!(circuit.admit(sent, true), Verdict::Pass);
    let refused = Verdict::Refuse(Cause::Failing);
    let waits = Verdict::Hold(sent + CONFIG.hold);
    assert_eq!([299, 301].map(|ms| circuit.admit(sent + ms * MS, true)), [refused, waits]);
    assert_eq!(circuit.failed(Cause::Failing, start, sent + 302 * MS), None, "it is not the probe");
    assert_eq!(circuit.failed(Cause::Failing, sent, sent + 310 * MS), Some(Change::ProbeFailed));
    assert_eq!(circuit.admit(sent + 311 * MS, true), refused);
}

#[test]
fn where_failures_come_at_once_everybody_waits_for_the_probe() {
    let start = Instant::now();
    let mut circuit = Circuit::new(CONFIG);
    for _ in 0..20 {
        circuit.failed(Cause::Failing, start - 50 * MS, start);
    }
    let sent = start + 500 * MS;
    assert_eq!(circuit.admit(sent - MS, true), Verdict::Refuse(Cause::Failing));
    assert_eq!(circuit.admit(sent, true), Verdict::Pass);
    assert_eq!(circuit.admit(sent, true), Verdict::Hold(sent + CONFIG.hold));
}

#[test]
fn a_probe_that_never_ends_is_waited_for_no_longer_than_an_origin_that_is_gone() {
    let start = Instant::now();
    let mut circuit = opened(Cause::Failing, start);
    let sent = start + 500 * MS;
    assert_eq!(circuit.admit(sent, true), Verdict::Pass);
    assert_eq!(circuit.admit(sent + CONFIG.hold, false), Verdict::Pass, "it is time for another one");
    assert_eq!(circuit.admit(sent + CONFIG.hold, false), Verdict::Refuse(Cause::Failing));
}

#[test]
fn what_cannot_be_delivered_waits_for_a_while_and_is_refused_then() {
    let start = Instant::now();
    let mut circuit = opened(Cause::Unreachable, start);
    assert_eq!(circuit.admit(start, false), Verdict::Hold(start + CONFIG.hold));
    assert_eq!(circuit.admit(start + CONFIG.hold, true), Verdict::Refuse(Cause::Unreachable));
    assert_eq!(circuit.connected(start - MS), None);
    assert_eq!(circuit.connected(start + MS), Some(Change::Closed));
}

#[test]
fn answers_to_older_requests_do_not_hide_that_nothing_new_is_taken() {
    let start = Instant::now();
    let mut circuit = Circuit::new(CONFIG);
    for n in 0..4 {
        assert_eq!(circuit.failed(Cause::Unreachable, start, start + n * MS), None);
        assert_eq!(circuit.succeeded(start - MS), None);
    }
    assert_eq!(
        circuit.failed(Cause::Unreachable, start, start + 4 * MS),
        Some(Change::Opened(Cause::Unreachable))
    );
}

#[test]
fn a_connection_in_between_begins_the_count_anew() {
    let start = Instant::now();
    let mut circuit = Circuit::new(CONFIG);
    for n in 0..8 {
        assert_eq!(circuit.failed(Cause::Unreachable, start, start + n * MS), None);
        circuit.connected(start + n * MS);
    }
}

#[test]
fn zero_switches_it_off() {
    let now = Instant::now();
    let mut circuit = Circuit::new(BreakerConfig { failures: 0, refusals: 0, ..CONFIG });
    assert!((0..1000).all(|_| circuit.failed(Cause::Unreachable, now, now).is_none()));
}

proptest! {
    #[test]
    fn whatever_happened_a_success_lets_everything_pass(steps in proptest::collection::vec(0u8..5, 0..200)) {
        let mut now = Instant::now();
        let mut circuit = Circuit::new(CONFIG);
        for step in steps {
            now += 100 * MS;
            match step {
                0 => drop(circuit.succeeded(now)),
                1 => drop(circuit.failed(Cause::Failing, now, now)),
                2 => drop(circuit.failed(Cause::Unreachable, now, now)),
                3 => drop(circuit.connected(now)),
                _ => drop(circuit.admit(now, true)),
            }
        }
        circuit.succeeded(now + MS);
        prop_assert_eq!(circuit.admit(now + MS, false), Verdict::Pass);
    }
}
