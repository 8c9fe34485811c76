//! One endpoint's way out and back in.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: EjectionConfig =
    EjectionConfig { failures: 3, base: Duration::from_secs(10), max: Duration::from_secs(300) };

#[test]
fn failures_in_a_row_take_it_out_and_a_success_in_between_does_not() {
    let start = Instant::now();
    let health = Health::new(start, None);
    assert_eq!((health.bad(&CONFIG), health.bad(&CONFIG)), (None, None));
    health.good();
    assert_eq!((health.bad(&CONFIG), health.bad(&CONFIG)), (None, None));
    assert_eq!(health.bad(&CONFIG), Some(10 * SECOND));
}

#[test]
fn it_is_out_for_its_time_and_longer_the_next_time() {
    let start = Instant::now();
    let health = Health::new(start, None);
    health.eject(start, 10 * SECOND);
    assert!(!health.is_fit(start + 9 * SECOND));
    assert!(health.is_fit(start + 10 * SECOND));
    let again = (0..3).filter_map(|_| health.bad(&CONFIG)).next_back();
    assert_eq!(again, Some(20 * SECOND));
}

#[test]
fn what_behaves_for_as_long_as_it_was_out_is_forgiven() {
    let start = Instant::now();
    let health = Health::new(start, None);
    health.eject(start, 10 * SECOND);
    health.forgive(&CONFIG, start + 19 * SECOND);
    assert_eq!(health.ejections(), 1);
    health.forgive(&CONFIG, start + 20 * SECOND);
    assert_eq!(health.ejections(), 0);
    assert!(health.is_fit(start + 20 * SECOND));
}

#[test]
fn what_comes_in_begins_slowly() {
    let start = Instant::now();
    let slow = 30 * SECOND;
    let weight = |health: &Health, seconds: u32| health.weight(start + seconds * SECOND, slow);
    let first = Health::new(start, None);
    assert_eq!(weight(&first, 0), 1.0);
    let joined = Health::new(start, Some(start));
    assert_eq!([0, 15, 30].map(|at| weight(&joined, at)), [LEAST_WEIGHT, 0.5, 1.0]);
    first.eject(start, 10 * SECOND);
    assert_eq!([10, 25, 40].map(|at| weight(&first, at)), [LEAST_WEIGHT, 0.5, 1.0]);
}

#[test]
fn failed_checks_keep_it_out_until_they_succeed() {
    let start = Instant::now();
    let health = Health::new(start, None);
    health.checked(false, start);
    assert!(!health.is_fit(start + 1000 * SECOND));
    health.checked(true, start + 1000 * SECOND);
    assert!(health.is_fit(start + 1000 * SECOND));
    assert_eq!(health.weight(start + 1000 * SECOND, SECOND), LEAST_WEIGHT);
}
