use super::*;
use crate::traffic;
use hosp_feed::Snapshot;

fn read(snapshot: Snapshot) -> Reading {
    Reading::check(snapshot).unwrap()
}

fn ended(cell: &Cell) -> u64 {
    cell.services.values().map(|s| s.legs.server.tally.ended + s.legs.client.tally.ended).sum()
}

fn total(reading: &Reading) -> u64 {
    reading.rows.iter().map(|row| row.total).sum()
}

#[test]
fn a_first_reading_says_what_its_interval_counted() {
    let mut agent = traffic::Agent::new("web-1", 1);
    let _ = agent.second();
    let second = read(agent.second());
    let (step, cell) = Known::advance(None, &second);
    assert_eq!(step, Step::First);
    assert_eq!(ended(&cell), second.rows.iter().map(|row| row.count).sum::<u64>());
    assert_eq!(cell.covered_ms, 1000);
}

#[test]
fn readings_missed_lose_no_request() {
    let mut agent = traffic::Agent::new("web-1", 1);
    let first = read(agent.second());
    let _ = (agent.second(), agent.second());
    let fourth = read(agent.second());
    let (step, cell) = Known::advance(Some(&Known::of(&first)), &fourth);
    assert_eq!(step, Step::Next);
    assert_eq!(ended(&cell), total(&fourth) - total(&first));
    assert_eq!(cell.covered_ms, 3000);
}

#[test]
fn a_restart_is_told_by_the_process_by_the_start_or_by_totals_that_fall() {
    let mut agent = traffic::Agent::new("web-1", 1);
    let _ = agent.second();
    let before = Known::of(&read(agent.second()));
    let restarts: [fn(&mut Snapshot); 3] = [
        |s| s.agent.pid += 1,
        |s| s.agent.started_unix_ms += 1,
        |s| s.series[0].total = s.series[0].total.saturating_sub(1_000),
    ];
    for (case, restart) in restarts.into_iter().enumerate() {
        let mut snapshot = agent.second();
        restart(&mut snapshot);
        let next = read(snapshot);
        let (step, cell) = Known::advance(Some(&before), &next);
        assert_eq!(step, Step::Restarted, "case {case}");
        assert_eq!(ended(&cell), next.rows.iter().map(|row| row.count).sum::<u64>(), "case {case}");
    }
}

#[test]
fn a_wall_clock_that_was_set_says_nothing_about_the_time_between() {
    let mut agent = traffic::Agent::new("web-1", 1);
    let before = Known::of(&read(agent.second()));
    let clocks: [fn(u64) -> u64; 3] = [|_| 5, |now| now + 10_000_000, |now| now - 1000];
    for clock in clocks {
        let mut snapshot = agent.second();
        snapshot.unix_ms = clock(before.unix_ms + 1000);
        let (_, cell) = Known::advance(Some(&before), &read(snapshot));
        assert_eq!(cell.covered_ms, 1000);
    }
}

#[test]
fn a_proxy_that_restarts_alone_starts_again_from_0() {
    let mut agent = traffic::Agent::new("web-1", 1);
    let before = read(agent.second());
    let mut snapshot = agent.second();
    let facts = snapshot.proxy.as_mut().unwrap();
    facts.requests = 5;
    facts.cache = [("hit".to_owned(), 3), ("miss".to_owned(), 2)].into();
    facts.retries.clear();
    let (step, cell) = Known::advance(Some(&Known::of(&before)), &read(snapshot));
    assert_eq!(step, Step::Next);
    assert_eq!((cell.proxy_requests, cell.proxy_from_cache, cell.proxy_retries), (5, 3, 0));
}

#[test]
fn series_that_look_alike_after_cleaning_are_added_up() {
    let same = |s: &mut Snapshot| {
        let mut twin = s.series[0].clone();
        twin.total = 3;
        twin.count = 3;
        twin.latency = None;
        s.series.push(twin);
    };
    let mut agent = traffic::Agent::new("web-1", 1);
    let (mut first, mut second) = (agent.second(), agent.second());
    same(&mut first);
    same(&mut second);
    let (first, second) = (read(first), read(second));
    let (step, cell) = Known::advance(Some(&Known::of(&first)), &second);
    assert_eq!(step, Step::Next);
    assert_eq!(ended(&cell), total(&second) - total(&first));
}

#[test]
fn a_row_lands_in_its_service_route_leg_and_class() {
    let reading = read(traffic::Agent::new("web-1", 1).second());
    let (_, cell) = Known::advance(None, &reading);
    let service = &cell.services[&Label::clean("hosp-proxy")];
    let sum = |status: u16, leg| -> u64 {
        let rows = reading.rows.iter().filter(|r| r.key.status == status && r.key.leg == leg);
        rows.map(|r| r.count).sum()
    };
    let client = &service.legs.client;
    assert_eq!(client.classes[0], sum(0, hosp_feed::Leg::Client));
    assert_eq!(client.classes[5], sum(500, hosp_feed::Leg::Client) + sum(503, hosp_feed::Leg::Client));
    assert_eq!(client.tally.counted - client.tally.succeeded, client.classes[0] + client.classes[5]);
    let routes: u64 = service.routes.values().map(|legs| legs.server.tally.ended).sum();
    assert_eq!(routes, service.legs.server.tally.ended);
}
