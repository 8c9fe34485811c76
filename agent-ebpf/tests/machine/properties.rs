//! Any valid exchanges, in any segmentation, with retransmissions: exactly the right records.

use hosp_agent_ebpf::stash::{HELD, SEGMENT_MAX};
use hosp_agent_ebpf::{Counter, Outcome, PATH_MAX};
use proptest::prelude::*;

use crate::wire::{Way, Wire};

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(Vec<u8>),
    Chunked(Vec<Vec<u8>>, bool),
}

#[derive(Clone, Debug)]
struct Exchange {
    method: &'static str,
    path: String,
    request: Body,
    headers: Vec<String>,
    interim: bool,
    status: u16,
    answer: Body,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..300),
        Just(b"GET /evil HTTP/1.1\r\n\r\nHTTP/1.1 500 No\r\n\r\n0\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 4_000..9_000),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::None),
        bytes().prop_map(Body::Length),
        (proptest::collection::vec(bytes(), 1..4), any::<bool>()).prop_map(|(c, t)| Body::Chunked(c, t)),
    ]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("DELETE"), Just("OPTIONS"), Just("REPORT")],
        "/[a-z0-9/%~.-]{0,200}",
        body(),
        proptest::collection::vec("[A-Za-z-]{1,20}: [ -~]{0,400}", 0..6).prop_filter(
            "framing comes from the body",
            |h| {
                h.iter().all(|h| {
                    let h = h.to_ascii_lowercase();
                    !h.starts_with("content-length") && !h.starts_with("transfer-encoding")
                })
            },
        ),
        any::<bool>(),
        prop_oneof![Just(200u16), Just(204), Just(304), Just(404), Just(503)],
        body(),
    )
        .prop_map(|(method, path, request, headers, interim, status, answer)| Exchange {
            method,
            path,
            request,
            headers,
            interim,
            status,
            answer,
        })
}

impl Exchange {
    fn request_bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {}?q HTTP/1.1\r\n", self.method, self.path).into_bytes();
        self.finish(&mut out, &self.request, true);
        out
    }

    fn answer_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.interim {
            out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        }
        out.extend_from_slice(format!("HTTP/1.1 {} Some reason\r\n", self.status).as_bytes());
        let bodiless = self.method == "HEAD" || matches!(self.status, 204 | 304);
        match &self.answer {
            // Without framing the body would last until the connection ends.
            Body::None if !bodiless => self.finish(&mut out, &Body::Length(vec![]), true),
            body => self.finish(&mut out, body, !bodiless),
        }
        out
    }

    fn finish(&self, out: &mut Vec<u8>, body: &Body, with_body: bool) {
        for h in &self.headers {
            out.extend_from_slice(format!("{h}\r\n").as_bytes());
        }
        match body {
            Body::None => out.extend_from_slice(b"\r\n"),
            Body::Length(b) => {
                out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", b.len()).as_bytes());
                if with_body {
                    out.extend_from_slice(b);
                }
            }
            Body::Chunked(chunks, trailer) => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                if with_body {
                    for c in chunks {
                        out.extend_from_slice(format!("{:x};ext=1\r\n", c.len()).as_bytes());
                        out.extend_from_slice(c);
                        out.extend_from_slice(b"\r\n");
                    }
                    out.extend_from_slice(if *trailer { b"0\r\nX-Sum: 1\r\n\r\n" } else { b"0\r\n\r\n" });
                }
            }
        }
    }
}

/// Sends `bytes` in pieces whose lengths `cuts` gives in turn; sends some pieces again, and longer.
fn send(wire: &mut Wire, way: Way, bytes: &[u8], cuts: &[u16], again: &[bool]) {
    let start = wire.next_seq(way);
    let mut at = 0;
    for (&cut, &again) in cuts.iter().zip(again).cycle() {
        if at >= bytes.len() {
            break;
        }
        let end = (at + usize::from(cut).max(1)).min(bytes.len());
        wire.send(way, &bytes[at..end]);
        if again {
            let from = at / 2;
            wire.segment(way, start.wrapping_add(from as u32), &bytes[from..end]);
        }
        at = end;
    }
}

/// `bytes`, the next ones of a direction, as segments with their sequence numbers.
fn segments(wire: &mut Wire, way: Way, bytes: &[u8], cuts: &[u16]) -> Vec<(u32, Vec<u8>)> {
    let mut segments = vec![];
    let mut at = 0;
    for &cut in cuts.iter().cycle() {
        if at >= bytes.len() {
            break;
        }
        let end = (at + usize::from(cut)).min(bytes.len());
        segments.push((wire.next_seq(way), bytes[at..end].to_vec()));
        wire.miss(way, (end - at) as u32);
        at = end;
    }
    segments
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn valid_exchanges_in_any_segmentation_give_exactly_their_records(
        exchanges in proptest::collection::vec(exchange(), 1..12),
        group in 1usize..12,
        cuts in proptest::collection::vec(prop_oneof![1u16..4, 1u16..200, 1_000u16..20_000], 1..8),
        again in proptest::collection::vec(any::<bool>(), 8),
        seqs in any::<(u32, u32)>(),
    ) {
        let mut wire = Wire::new(seqs.0, seqs.1);
        for group in exchanges.chunks(group) {
            for (way, bytes) in [
                (Way::Request, group.iter().flat_map(Exchange::request_bytes).collect::<Vec<_>>()),
                (Way::Answer, group.iter().flat_map(Exchange::answer_bytes).collect()),
            ] {
                send(&mut wire, way, &bytes, &cuts, &again);
            }
        }
        prop_assert_eq!(wire.host.records.len(), exchanges.len());
        for (n, (record, expected)) in wire.host.records.iter().zip(&exchanges).enumerate() {
            let method = if expected.method == "REPORT" { "_OTHER" } else { expected.method };
            prop_assert_eq!(record.method().as_str(), method);
            prop_assert_eq!(record.status, expected.status);
            prop_assert_eq!(record.outcome(), Outcome::Answered);
            let path = expected.path.as_bytes();
            prop_assert_eq!(record.path(), &path[..path.len().min(PATH_MAX)]);
            prop_assert_eq!(record.request_bytes, expected.request_bytes().len() as u64);
            prop_assert_eq!(record.response_bytes, expected.answer_bytes().len() as u64);
            prop_assert_eq!(record.ordinal as usize, n + 1);
        }
        prop_assert_eq!(wire.count(Counter::Seen), exchanges.len() as u64);
        prop_assert_eq!(wire.count(Counter::Resyncs), 0);
        prop_assert!(wire.balanced());
    }

    #[test]
    fn segments_out_of_order_give_exactly_the_records(
        exchanges in proptest::collection::vec(exchange(), 1..6),
        cuts in proptest::collection::vec(1u16..1_500, 1..8),
        late in proptest::collection::vec(prop_oneof![0usize..=HELD, 0usize..16], 1..12),
        again in proptest::collection::vec(any::<bool>(), 8),
        seqs in any::<(u32, u32)>(),
    ) {
        let mut wire = Wire::new(seqs.0, seqs.1);
        for exchange in &exchanges {
            for (way, bytes) in
                [(Way::Request, exchange.request_bytes()), (Way::Answer, exchange.answer_bytes())]
            {
                let segments = segments(&mut wire, way, &bytes, &cuts);
                // Each late segment lets others pass: any that can wait alone, or a run of short ones.
                let mut n = 0;
                for &late in late.iter().cycle() {
                    if n >= segments.len() {
                        break;
                    }
                    let mut room = SEGMENT_MAX as usize;
                    let fits = segments[n + 1..].iter().take(late).take_while(|(_, bytes)| {
                        room = room.wrapping_sub(bytes.len());
                        room <= SEGMENT_MAX as usize
                    });
                    let end = n + 1 + fits.count().max(late.min(HELD)).min(segments.len() - n - 1);
                    let first = &segments[n];
                    for (seq, bytes) in segments[n + 1..end].iter().chain([first]) {
                        wire.arrive(way, *seq, bytes, false);
                        if again[n % again.len()] {
                            wire.arrive(way, *seq, bytes, false);
                        }
                    }
                    n = end;
                }
            }
        }
        prop_assert_eq!(wire.host.records.len(), exchanges.len());
        for (record, expected) in wire.host.records.iter().zip(&exchanges) {
            prop_assert_eq!(record.status, expected.status);
            prop_assert_eq!(record.request_bytes, expected.request_bytes().len() as u64);
            prop_assert_eq!(record.response_bytes, expected.answer_bytes().len() as u64);
        }
        prop_assert_eq!(wire.count(Counter::Resyncs), 0);
        prop_assert!(wire.balanced());
    }

    #[test]
    fn any_bytes_in_any_order_balance_the_books_and_never_panic(
        segments in proptest::collection::vec(
            (any::<bool>(), any::<u16>(), prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                Just(b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\n".to_vec()),
                Just(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
                Just(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec()),
                Just(b"fffffffffffffff\r\n".to_vec()),
            ]), 0..40),
        ends in any::<(bool, bool, bool)>(),
    ) {
        let mut wire = Wire::new(0, 0);
        for (request, jump, bytes) in &segments {
            let way = if *request { Way::Request } else { Way::Answer };
            if jump % 4 == 0 {
                wire.segment(way, u32::from(*jump), bytes);
            } else {
                wire.send(way, bytes);
            }
            prop_assert!(wire.balanced());
        }
        if ends.0 { wire.end(Way::Request, ends.1) }
        if ends.1 { wire.end(Way::Answer, ends.2) }
        wire.close(ends.2);
        prop_assert!(wire.balanced());
        prop_assert!(wire.host.records.len() as u64 <= wire.count(Counter::Seen));
    }
}
