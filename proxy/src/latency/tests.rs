//! What is learnt of how long origins take.

use super::*;
use proptest::prelude::*;

const KEY: Key = Key { route: 0, safe: true, origin: 0 };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn near(got: Option<Duration>, expect: u64) {
    let got = got.expect("known").as_secs_f64() * 1000.0;
    assert!((got / expect as f64 - 1.0).abs() < 0.03, "{got} is not about {expect}");
}

#[test]
fn quantiles_are_those_of_the_answers() {
    let outlook = Outlook::from_answers((1..=1000).map(ms), 0);
    near(outlook.quantile(0.5), 500);
    near(outlook.quantile(0.95), 950);
    near(Some(outlook.surely()), 990);
    near(Some(outlook.least()), 50);
    near(outlook.quantile(1.0), 1000);
    near(outlook.quantile(0.0), 5);
}

#[test]
fn tries_that_never_answer_leave_the_others_quantiles_where_they_belong() {
    let outlook = Outlook::from_answers((1..=980).map(ms), 20);
    near(outlook.quantile(0.95), 950);
    assert_eq!(outlook.quantile(0.99), None);
    assert_eq!(outlook.surely(), ms(980));
}

#[test]
fn tries_that_are_given_up_early_do_not_make_an_origin_look_quick() {
    let start = Instant::now();
    let latencies = Latencies::default();
    for n in 1..=2000 {
        // Every other try is given up at half of the time that it would have taken.
        let time = ms(n / 2);
        let sample = if n % 2 == 0 { Sample::Answered(time) } else { Sample::GivenUp(time / 2) };
        latencies.record(KEY, sample, start + ms(10 * n));
    }
    let outlook = latencies.outlook(KEY).unwrap();
    assert!(outlook.quantile(0.5).unwrap() >= ms(500), "{outlook:?}");
}

#[test]
fn a_short_watch_says_nothing_because_only_quick_answers_have_come_yet() {
    let start = Instant::now();
    let latencies = Latencies::default();
    (0..200).for_each(|n| latencies.record(KEY, Sample::Answered(ms(n)), start + ms(n)));
    assert_eq!(latencies.outlook(KEY), None);
    (0..2000).for_each(|n| latencies.record(KEY, Sample::Answered(ms(n % 200)), start + ms(400 + n)));
    near(latencies.outlook(KEY).unwrap().quantile(0.5), 100);
}

#[test]
fn what_was_long_ago_is_forgotten() {
    let start = Instant::now();
    let latencies = Latencies::default();
    for minute in 0..6 {
        let time = if minute < 3 { ms(1000) } else { ms(10) };
        for n in 0..1000 {
            latencies.record(KEY, Sample::Answered(time), start + ms(minute * 61_000 + n * 60));
        }
    }
    near(latencies.outlook(KEY).unwrap().quantile(1.0), 10);
}

#[test]
fn series_are_apart_and_their_number_is_bounded() {
    let latencies = Latencies::default();
    let now = Instant::now();
    for origin in 0..2 * MOST_SERIES {
        latencies.record(Key { origin, ..KEY }, Sample::Answered(ms(1)), now);
    }
    assert_eq!(latencies.series.borrow().len(), MOST_SERIES);
}

proptest! {
    #[test]
    fn quantiles_never_fall(times in proptest::collection::vec(1u64..200_000, 1..200), never in 0u64..50) {
        let outlook = Outlook::from_answers(times.into_iter().map(ms), never);
        let all: Vec<_> = (0..=20).map(|n| outlook.quantile(f64::from(n) / 20.0).unwrap_or(Duration::MAX)).collect();
        prop_assert!(all.is_sorted(), "{all:?}");
        prop_assert!(outlook.least() <= outlook.surely() || outlook.quantile(0.05).is_none());
    }
}
