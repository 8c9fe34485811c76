use super::*;
use crate::traffic;

fn changed(change: impl FnOnce(&mut Snapshot)) -> Result<Reading, ReadingError> {
    let mut snapshot = traffic::Agent::new("web-1", 1).second();
    change(&mut snapshot);
    Reading::parse(&hosp_feed::encode(&snapshot))
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    let snapshot = traffic::Agent::new("web-1", 1).second();
    let reading = Reading::parse(&hosp_feed::encode(&snapshot)).unwrap();
    assert_eq!(reading.rows.len(), snapshot.series.len());
    let total: u64 = snapshot.series.iter().map(|s| s.total).sum();
    assert_eq!(reading.rows.iter().map(|row| row.total).sum::<u64>(), total);
    assert_eq!(reading.agent.host.as_str(), "web-1");
    assert_eq!(reading.books.blind.len(), 0, "kinds that did not occur are no blind spots");
    let facts = snapshot.proxy.unwrap();
    assert_eq!(reading.proxy.unwrap().from_cache, facts.cache["hit"]);
}

#[test]
fn impossible_counts_are_refused() {
    assert!(changed(|s| s.series[0].total = MAX_COUNT / 2).is_ok());
    type Change = fn(&mut Snapshot);
    let cases: [(&str, Change); 6] = [
        ("requests", |s| s.series[0].total = MAX_COUNT + 1),
        ("requests", |s| s.series.iter_mut().for_each(|series| series.total = MAX_COUNT - 1)),
        ("lost requests", |s| *s.books.lost.get_mut("ring").unwrap() = u64::MAX),
        ("requests recorded", |s| s.books.open = u64::MAX),
        ("resyncs", |s| s.books.resyncs = u64::MAX),
        ("the proxy's requests", |s| s.proxy.as_mut().unwrap().requests = u64::MAX),
    ];
    for (of, change) in cases {
        match changed(change) {
            Err(ReadingError::Count(what)) => assert_eq!(what, of),
            other => panic!("{of}: {other:?}"),
        }
    }
}

#[test]
fn another_version_and_a_damaged_histogram_are_named() {
    let error = changed(|s| s.version = 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the agent speaks feed version 7, this program 1: install matching versions"
    );
    let mut json = serde_json::to_value(traffic::Agent::new("web-1", 1).second()).unwrap();
    json["series"][0]["latency"] = "HISTFAAA".into();
    let error = Reading::parse(json.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, ReadingError::Latency(_)), "{error}");
}

#[test]
fn what_attackers_write_arrives_harmless() {
    let reading = changed(|s| {
        s.agent.host = "\u{1b}]0;owned\u{7}".into();
        s.series[0].key.route = "/\u{1b}[31m".into();
        s.requests[0].peer = "\u{9b}2J".into();
    })
    .unwrap();
    assert_eq!(reading.agent.host.as_str(), "\\u{1b}]0;owned\\u{7}");
    assert_eq!(reading.rows[0].key.route.as_str(), "/\\u{1b}[31m");
    assert_eq!(reading.requests[0].peer.as_str(), "\\u{9b}2J");
}
