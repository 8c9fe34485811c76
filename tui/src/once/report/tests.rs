use super::*;
use crate::traffic;

fn answers() -> Vec<(String, Result<Snapshot, FeedError>)> {
    let (mut one, mut two) = (traffic::Agent::new("web-1", 1), traffic::Agent::new("web-2", 2));
    let _ = (one.second(), two.second());
    vec![("unix:/a".to_owned(), Ok(one.second())), ("unix:/b".to_owned(), Ok(two.second()))]
}

#[test]
fn requests_of_all_agents_add_up_by_label() {
    let answers = answers();
    let report = Report::of(&answers, None);
    let all = |report: &Report, leg| -> u64 {
        report.requests.iter().filter(|r| r.leg == leg).map(|r| r.requests).sum()
    };
    let expect: u64 = answers
        .iter()
        .flat_map(|(_, s)| &s.as_ref().unwrap().series)
        .filter(|s| s.key.leg == Leg::Client)
        .map(|s| s.total)
        .sum();
    assert_eq!(all(&report, Leg::Client), expect);
    assert_eq!(report.legs.client.requests, expect);
    assert_eq!(report.legs.client.statuses.values().sum::<u64>(), expect);
    assert_eq!(report.service.as_deref(), Some("hosp-proxy"));
    assert!(report.books.balanced && report.legs.server.interval.p99_seconds.is_some());
}

#[test]
fn an_agent_that_is_missing_is_named() {
    let mut answers = answers();
    answers.push(("unix:/c".to_owned(), Err(FeedError::Ended { address: "unix:/c".to_owned() })));
    let report = Report::of(&answers, None);
    assert_eq!(report.agents[2].error.as_deref(), Some("unix:/c ended the feed"));
    assert_eq!(report.agents[0].error, None);
}

#[test]
fn a_service_that_was_never_seen_has_no_success() {
    let report = Report::of(&answers(), Some("nobody"));
    assert_eq!((report.legs.server.requests, report.legs.server.success), (0, None));
    assert_eq!(report.attempts_per_request, None);
}

#[test]
fn requests_by_their_attempts_are_added_up_over_the_agents() {
    let mut answers = answers();
    for (_, answer) in &mut answers {
        let one = |service: &str| Attempts {
            service: service.into(),
            requests: [1, 7, 2, 0, 0, 0, 3],
            attempts: 30,
        };
        answer.as_mut().unwrap().attempts = vec![one("hosp-proxy"), one("another")];
    }
    let report = Report::of(&answers, None);
    assert_eq!(report.requests_by_attempts, Some([2, 14, 4, 0, 0, 0, 6]));
    let table = super::super::table::render(&report);
    assert!(table.contains("0: 2  1: 14  2: 4  3: 0  4: 0  5: 0  more: 6"), "{table}");
}

#[test]
fn the_table_and_the_json_stay_as_they_are() {
    let answers = answers();
    let report = Report::of(&answers[..1], None);
    insta::assert_snapshot!("table", super::super::table::render(&report));
    insta::assert_snapshot!("json", report.json());
}

#[test]
fn the_json_holds_no_control_character_that_a_terminal_obeys() {
    let mut answers = answers();
    let host = "\u{9b}2J\u{7f}\u{1b}c web\u{a0}1";
    answers[0].1.as_mut().unwrap().agent.host = host.to_owned();
    let json = Report::of(&answers, None).json();
    assert!(!json.contains(|c: char| c.is_control() && c != '\n'), "{json:?}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["agents"][0]["host"], host, "and a script reads the same as ever");
}
