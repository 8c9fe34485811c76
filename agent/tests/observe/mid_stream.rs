//! Connections that are older than the agent: picked up where a message is certain to begin.

use xtask::counts::Counts;

use crate::dialogue::Dialogue;
use crate::rig::{Rig, runnable};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What was under way when the agent attached.
struct Case {
    name: &'static str,
    /// What was said before, by the client and then by the server.
    before: (&'static str, &'static str),
    /// What is said after, likewise, before the exchanges that must be counted.
    after: (&'static str, &'static str),
}

const CASES: [Case; 5] = [
    Case { name: "idle", before: (ASK, ANSWER), after: ("", "") },
    Case { name: "without a word", before: ("", ""), after: ("", "") },
    Case {
        name: "in a request's head",
        before: ("GET /b HTTP/1.1\r\nX-A", ""),
        after: (": 1\r\n\r\n", ANSWER),
    },
    Case { name: "between request and answer", before: (ASK, ""), after: ("", ANSWER) },
    Case {
        name: "in an answer's body",
        before: (ASK, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nGET"),
        after: ("", " / HTTP/1.1\r\nHTTP/1.1 200\r\n"),
    },
];

#[test]
fn connections_older_than_the_agent_are_picked_up_at_the_next_message() {
    if !runnable(&[]) {
        return;
    }
    let mut rig = Rig::new();
    rig.stop();
    let mut talks: Vec<Dialogue> = CASES
        .iter()
        .map(|case| {
            let mut talk = Dialogue::new();
            talk.ask(case.before.0);
            talk.answer(case.before.1);
            talk
        })
        .collect();
    rig.start();
    for (case, talk) in CASES.iter().zip(&mut talks) {
        talk.ask(case.after.0);
        talk.answer(case.after.1);
        for _ in 0..3 {
            talk.ask(ASK);
            talk.answer(ANSWER);
        }
    }
    let mut truth = Counts::default();
    truth.add("GET", 200, 3);
    for (case, talk) in CASES.iter().zip(&talks) {
        eprintln!("{}", case.name);
        rig.expect("server", talk.port, &truth);
        rig.expect("client", talk.port, &truth);
    }
    assert_eq!(rig.lost(), 0.0);
}

#[test]
fn a_connection_that_outlives_the_agent_is_picked_up_by_the_next_one() {
    if !runnable(&[]) {
        return;
    }
    let mut rig = Rig::new();
    let mut talk = Dialogue::new();
    for n in [3, 2] {
        for _ in 0..n {
            talk.ask(ASK);
            talk.answer(ANSWER);
        }
        let mut truth = Counts::default();
        truth.add("GET", 200, n);
        rig.expect("server", talk.port, &truth);
        rig.expect("client", talk.port, &truth);
        rig.stop();
        rig.start();
    }
}
