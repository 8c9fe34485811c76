//! The HTTP/1 state machine against an independent reading of the same bytes: httparse for heads, RFC 9112 §6 and §7
//! written down plainly for bodies.

mod reference;
mod rules;
mod traffic;
#[path = "../machine/wire.rs"]
#[expect(dead_code, reason = "the rig serves other tests as well")]
mod wire;

use hosp_agent_ebpf::{Counter, Outcome, PATH_MAX};
use proptest::prelude::*;

use reference::{Ending, Reading};
use wire::{Way, Wire};

/// Sends all requests, then all answers, in pieces whose lengths `cuts` gives in turn; then the server closes.
fn observe(requests: &[u8], answers: &[u8], cuts: &[u16]) -> Wire {
    let mut wire = Wire::new(u32::MAX - 100, 7);
    let mut lengths = cuts.iter().map(|&cut| usize::from(cut).max(1)).cycle();
    for (way, mut bytes) in [(Way::Request, requests), (Way::Answer, answers)] {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(lengths.next().expect("cuts repeat").min(bytes.len()));
            wire.send(way, now);
            bytes = later;
        }
    }
    wire.end(Way::Answer, false);
    wire.close(false);
    assert!(wire.balanced());
    wire
}

/// Holds what the machine saw against the reference, as far as the reference vouches for its own reading.
fn compare(wire: &Wire, reading: &Reading, valid: bool) {
    let seen = wire.count(Counter::Seen);
    let whole = reading.requests.len() as u64;
    match reading.requests_end {
        // A request counts once its request line is whole, though its head may not be.
        Ending::Whole { line_open } => assert_eq!(seen, whole + u64::from(line_open), "requests seen"),
        // What httparse refuses, we may take: `rules` says which.
        Ending::Refused => assert!(seen >= whole, "{seen} requests seen, {whole} are whole"),
    }
    let lost = wire.count(Counter::Resyncs) > 0;
    // An answer too many costs the place: the reference reads on.
    let vouched = valid && matches!(reading.answers_end, Ending::Whole { .. });
    assert!(!(lost && vouched), "the place was lost in traffic that is valid");
    if lost {
        return;
    }
    let records = &wire.host.records;
    assert_eq!(records.len() as u64 + wire.count(Counter::LostPending), seen, "one record each");
    for (n, answer) in reading.answers.iter().enumerate() {
        let (record, request) = (&records[n], &reading.requests[n]);
        assert_eq!(record.method().as_str(), request.method, "method of request {n}");
        assert_eq!(record.path(), &request.path[..request.path.len().min(PATH_MAX)], "path of request {n}");
        assert_eq!(record.status, answer.status, "status of answer {n}");
        assert_eq!(record.outcome(), Outcome::Answered, "end of answer {n}");
        assert_eq!(record.request_bytes, request.len, "length of request {n}");
        assert_eq!(record.response_bytes, answer.len, "length of answer {n}");
    }
}

fn cuts() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(prop_oneof![1u16..5, 1u16..300, 2_000u16..20_000], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn valid_traffic_is_read_as_httparse_and_the_rfc_read_it(traffic in traffic::valid(), cuts in cuts()) {
        let reading = reference::read(&traffic.requests, &traffic.answers);
        prop_assert_eq!(reading.requests.len(), traffic.exchanges, "the reference reads what was written");
        prop_assert_eq!(reading.answers.len(), traffic.exchanges, "the reference reads what was written");
        compare(&observe(&traffic.requests, &traffic.answers, &cuts), &reading, true);
    }

    #[test]
    fn damaged_traffic_is_read_alike_up_to_where_httparse_gives_up(
        traffic in traffic::damaged(),
        cuts in cuts(),
    ) {
        let reading = reference::read(&traffic.requests, &traffic.answers);
        compare(&observe(&traffic.requests, &traffic.answers, &cuts), &reading, false);
    }
}
