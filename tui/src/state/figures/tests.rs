use std::time::Duration;

use super::*;
use crate::history::Known;
use crate::reading::Reading;
use crate::traffic;
use hosp_feed::{Latency, Snapshot};

/// Feeds each host's snapshots at one per second.
fn data(hosts: Vec<Vec<Snapshot>>) -> (Data, Duration) {
    let mut data = Data::new(hosts.len());
    let mut now = Duration::ZERO;
    for (place, snapshots) in hosts.into_iter().enumerate() {
        let mut known: Option<Known> = None;
        for (second, snapshot) in snapshots.into_iter().enumerate() {
            now = Duration::from_secs(second as u64 + 1);
            let reading = Reading::check(snapshot).unwrap();
            let (_, cell) = Known::advance(known.as_ref(), &reading);
            known = Some(Known::of(&reading));
            data.take(place, now, &cell, reading);
        }
    }
    (data, now)
}

fn seconds(host: &str, pid: u32, seconds: usize) -> Vec<Snapshot> {
    let mut agent = traffic::Agent::new(host, pid);
    (0..seconds).map(|_| agent.second()).collect()
}

#[test]
fn counts_over_a_whole_run_equal_the_agents_totals() {
    let run = seconds("web-1", 1, 30);
    let last = run.last().unwrap().clone();
    let (data, now) = data(vec![run]);
    for window in [Window::Minute, Window::FiveMinutes, Window::QuarterHour] {
        let figures = Figures::compute(&data, now, window, None);
        assert_eq!(figures.service, Some(Label::clean("hosp-proxy")));
        for leg in Legs::<()>::BOTH {
            let expect = hosp_feed::tally(&last.series, &hosp_feed::focus(&last.series), leg);
            assert_eq!(figures.legs.get(leg).sum.tally, expect, "{window}");
        }
    }
}

#[test]
fn quantiles_of_two_hosts_are_those_of_all_requests_together() {
    let (one, two) = (seconds("web-1", 1, 5), seconds("web-2", 2, 5));
    let mut all = Latency::new();
    for series in one.iter().chain(&two).flat_map(|snapshot| &snapshot.series) {
        if let (hosp_feed::Leg::Server, Some(latency)) = (series.key.leg, &series.latency) {
            all.merge(&latency.decode().unwrap());
        }
    }
    let (data, now) = data(vec![one, two]);
    let figures = Figures::compute(&data, now, Window::Minute, None);
    assert_eq!(figures.legs.server.quantiles, Some(SHARES.map(|share| all.quantile(share) as u32)));
}

#[test]
fn rates_of_hosts_add_up_however_long_each_has_been_heard() {
    let alone = |place: &[Snapshot]| {
        let (data, now) = data(vec![place.to_vec()]);
        Figures::compute(&data, now, Window::Minute, None).legs.server.rate.unwrap()
    };
    let (long, short) = (seconds("web-1", 1, 20), seconds("web-2", 2, 20));
    let late = short[15..].to_vec();
    let expect = alone(&long) + alone(&late);
    let (mut both, now) = data(vec![long, Vec::new()]);
    let mut known: Option<Known> = None;
    for (n, snapshot) in late.into_iter().enumerate() {
        let reading = Reading::check(snapshot).unwrap();
        let (_, cell) = Known::advance(known.as_ref(), &reading);
        known = Some(Known::of(&reading));
        both.take(1, Duration::from_secs(16 + n as u64), &cell, reading);
    }
    let rate = Figures::compute(&both, now, Window::Minute, None).legs.server.rate.unwrap();
    assert!((rate - expect).abs() < 1e-9, "{rate} {expect}");
}

#[test]
fn silence_is_unknown_and_not_zero() {
    let (data, now) = data(vec![seconds("web-1", 1, 5)]);
    let later = now + Duration::from_secs(120);
    assert_eq!(Figures::compute(&data, later, Window::Minute, None).legs.server.rate, None);
    assert!(Figures::compute(&data, later, Window::FiveMinutes, None).legs.server.rate.is_some());
}

#[test]
fn the_proxy_tells_what_never_reached_the_origin_and_without_it_the_legs_prove_the_least() {
    let mut run = seconds("web-1", 1, 10);
    let (with, now) = data(vec![run.clone()]);
    let figures = Figures::compute(&with, now, Window::Minute, None);
    let Some(Unreached::Exactly(share)) = figures.unreached else { panic!("{:?}", figures.unreached) };
    assert!((0.1..0.4).contains(&share), "{share}");
    run.iter_mut().for_each(|snapshot| snapshot.proxy = None);
    let (without, now) = data(vec![run]);
    let figures = Figures::compute(&without, now, Window::Minute, None);
    let Some(Unreached::AtLeast(least)) = figures.unreached else { panic!("{:?}", figures.unreached) };
    let Some(Attempts::Average(average)) = figures.attempts_per_request() else { panic!("no ids, no links") };
    assert!((1.0 - average - least).abs() < 1e-9);
    assert!(least <= share);
}

#[test]
fn attempts_are_exact_once_most_requests_are_linked_to_theirs() {
    let mut run = seconds("web-1", 1, 10);
    for (second, snapshot) in run.iter_mut().enumerate() {
        let requests = [0, 3_000, 0, 1_000, 0, 0, 0].map(|n| n * second as u64);
        let service = "hosp-proxy".to_owned();
        let attempts = 6_000 * second as u64;
        snapshot.attempts = vec![hosp_feed::Attempts { service, requests, attempts }];
    }
    let (linked, now) = data(vec![run.clone()]);
    let figures = Figures::compute(&linked, now, Window::Minute, None);
    assert_eq!(figures.attempts_per_request(), Some(Attempts::Linked(1.5)));
    for snapshot in &mut run {
        snapshot.attempts[0].requests = [1, 0, 0, 0, 0, 0, 0];
    }
    let (few, now) = data(vec![run]);
    let figures = Figures::compute(&few, now, Window::Minute, None);
    assert!(matches!(figures.attempts_per_request(), Some(Attempts::Average(_))));
}

#[test]
fn without_a_service_on_both_legs_nothing_is_said_about_attempts() {
    let mut run = seconds("nginx", 1, 3);
    for series in run.iter_mut().flat_map(|snapshot| &mut snapshot.series) {
        series.key.service = format!("{:?}", series.key.leg);
    }
    run.iter_mut().for_each(|snapshot| snapshot.proxy = None);
    let (data, now) = data(vec![run]);
    let figures = Figures::compute(&data, now, Window::Minute, None);
    assert_eq!(
        (figures.service.clone(), figures.attempts_per_request(), figures.unreached),
        (None, None, None)
    );
    assert!(figures.legs.server.sum.tally.ended > 0 && figures.legs.client.sum.tally.ended > 0);
}

#[test]
fn routes_come_busiest_first() {
    let (data, now) = data(vec![seconds("web-1", 1, 10)]);
    let figures = Figures::compute(&data, now, Window::Minute, None);
    let ended: Vec<u64> = figures.routes.iter().map(|route| route.legs.server.sum.tally.ended).collect();
    assert!(ended.is_sorted_by(|a, b| a >= b), "{ended:?}");
    assert_eq!(figures.routes.len(), 6);
}

#[test]
fn the_trend_has_a_gap_where_nothing_was_heard() {
    let (data, now) = data(vec![seconds("web-1", 1, 5)]);
    let trend = Trend::compute(&data, now + Duration::from_secs(2), Window::Minute, None);
    let known: Vec<bool> = trend.points.server.iter().map(Option::is_some).collect();
    assert_eq!(known.len(), 60);
    assert_eq!(known[52..], [false, true, true, true, true, true, false, false]);
}
