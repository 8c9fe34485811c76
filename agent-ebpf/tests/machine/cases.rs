//! One case each of what HTTP/1.1 servers and clients do.

use hosp_agent_ebpf::{Counter, Method, Outcome, PATH_MAX, Record, flags};

use crate::wire::{Way, Wire};

fn wire() -> Wire {
    Wire::new(1_000, 9_000)
}

/// Sends whole messages in turn, a request for every entry that does not begin with `HTTP/`.
fn exchange(messages: &[&str]) -> Wire {
    let mut wire = wire();
    for m in messages {
        wire.send(if m.starts_with("HTTP/") { Way::Answer } else { Way::Request }, m.as_bytes());
    }
    assert!(wire.balanced());
    wire
}

fn summary(wire: &Wire) -> Vec<(&'static str, u16, Outcome, String)> {
    wire.host
        .records
        .iter()
        .map(|r| (r.method().as_str(), r.status, r.outcome(), String::from_utf8_lossy(r.path()).into_owned()))
        .collect()
}

fn only(wire: &Wire) -> &Record {
    assert_eq!(wire.host.records.len(), 1, "{:?}", summary(wire));
    &wire.host.records[0]
}

const GET: &str = "GET /patients/7?ssn=1 HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_request_and_its_answer_become_one_record() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let wire = exchange(&[GET, answer]);
    let r = only(&wire);
    assert_eq!(summary(&wire), [("GET", 200, Outcome::Answered, "/patients/7".into())]);
    assert_eq!((r.request_bytes, r.response_bytes), (GET.len() as u64, answer.len() as u64));
    assert_eq!((r.ordinal, r.ttfb_ns, r.duration_ns, r.srtt_us), (1, 1_000, 1_000, 7));
}

#[test]
fn the_query_string_never_leaves_the_machine() {
    let wire = exchange(&[GET, "HTTP/1.1 204 No Content\r\n\r\n"]);
    let record = only(&wire);
    assert!(record.path[usize::from(record.path_len)..].iter().all(|&b| b == 0));
}

#[test]
fn what_has_no_body_ends_with_its_head() {
    let wire = exchange(&[
        "HEAD /a HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        "GET /b HTTP/1.1\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        "GET /c HTTP/1.1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "GET /d HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ]);
    assert_eq!(wire.host.records.iter().map(|r| r.status).collect::<Vec<_>>(), [200, 304, 204, 200]);
}

#[test]
fn chunks_with_extensions_and_trailers_are_followed_to_their_end() {
    let wire = exchange(&[
        "POST /n HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"\r\r\"\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding:  gzip, Chunked \r\n\r\nA\r\n0123\r\n\r\nxy\r\n00\r\n\r\n",
        "GET /after HTTP/1.1\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx",
    ]);
    assert_eq!(
        summary(&wire),
        [("POST", 200, Outcome::Answered, "/n".into()), ("GET", 404, Outcome::Answered, "/after".into())]
    );
}

#[test]
fn a_body_that_looks_like_messages_fools_nobody() {
    let wire = exchange(&[
        "PUT /x HTTP/1.1\r\nContent-Length: 39\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n.....",
        "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\nHTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n",
        "DELETE /y HTTP/1.1\r\n\r\n",
        "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    ]);
    assert_eq!(
        summary(&wire),
        [("PUT", 200, Outcome::Answered, "/x".into()), ("DELETE", 201, Outcome::Answered, "/y".into())]
    );
}

#[test]
fn interim_answers_are_not_final() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let wire = exchange(&[
        "POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        interim,
        "ab",
        hints,
        last,
    ]);
    let r = only(&wire);
    assert_eq!((r.status, r.response_bytes), (200, (interim.len() + hints.len() + last.len()) as u64));
    assert_eq!(r.ttfb_ns, 4_000, "the time to the first byte is that of the final answer");
}

#[test]
fn pipelined_requests_meet_their_own_answers() {
    let mut wire = wire();
    wire.send(Way::Request, b"GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    wire.send(
        Way::Answer,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(
        summary(&wire),
        [
            ("GET", 200, Outcome::Answered, "/1".into()),
            ("HEAD", 404, Outcome::Answered, "/2".into()),
            ("GET", 503, Outcome::Answered, "/3".into())
        ]
    );
    let flags: Vec<_> = wire.host.records.iter().map(|r| r.flags & flags::PIPELINED != 0).collect();
    assert_eq!(flags, [false, true, true]);
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    let mut wire = exchange(&[GET, "HTTP/1.0 200 OK\r\n\r\nsome", "HTTP/ more"]);
    assert!(wire.host.records.is_empty());
    wire.end(Way::Answer, false);
    assert_eq!((only(&wire).outcome(), only(&wire).status), (Outcome::Answered, 200));
}

#[test]
fn a_body_cut_short_is_told_from_a_whole_one() {
    for (reset, head) in [(false, "Content-Length: 10"), (true, "Content-Length: 10"), (true, "X: y")] {
        let mut wire = exchange(&[GET, &format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n12345")]);
        wire.end(Way::Answer, reset);
        assert_eq!((only(&wire).outcome(), only(&wire).status), (Outcome::CutBody, 200), "{head} {reset}");
        assert!(wire.balanced());
    }
}

#[test]
fn requests_without_an_answer_say_who_ended_the_connection() {
    type End = fn(&mut Wire);
    let cases: [(End, Outcome); 8] = [
        (|w| w.end(Way::Answer, false), Outcome::ServerClosed),
        (|w| w.end(Way::Answer, true), Outcome::ServerReset),
        (|w| w.close(true), Outcome::Aborted),
        (|w| w.close(false), Outcome::ServerReset),
        (
            |w| {
                w.end(Way::Request, true);
                w.close(false);
            },
            Outcome::ClientReset,
        ),
        (
            |w| {
                w.end(Way::Request, false);
                w.close(false);
            },
            Outcome::ClientClosed,
        ),
        (
            |w| {
                w.end(Way::Request, false);
                w.end(Way::Answer, false);
            },
            Outcome::ClientClosed,
        ),
        (
            |w| {
                w.send(Way::Answer, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2");
                w.end(Way::Answer, false);
            },
            Outcome::ServerClosed,
        ),
    ];
    for (n, (end, outcome)) in cases.into_iter().enumerate() {
        let mut wire = exchange(&[GET, "GET /second HTTP/1.1\r\n\r\n"]);
        end(&mut wire);
        let all: Vec<_> = wire.host.records.iter().map(|r| (r.status, r.outcome())).collect();
        assert_eq!(all, [(0, outcome), (0, outcome)], "case {n}");
        assert!(wire.balanced());
    }
}

#[test]
fn a_closed_connection_without_requests_says_nothing() {
    let mut wire = exchange(&[GET, "HTTP/1.1 204 No\r\n\r\n"]);
    wire.end(Way::Request, false);
    wire.end(Way::Answer, false);
    wire.close(false);
    assert_eq!(wire.host.records.len(), 1);
}

#[test]
fn after_an_upgrade_nothing_is_read() {
    for (request, answer) in [
        ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        ("CONNECT h:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let mut wire = exchange(&[request, answer]);
        assert!(wire.is_blind());
        wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(wire.host.records.len(), 1);
        assert_eq!(wire.count(Counter::ConnOpaque), 1);
    }
}

#[test]
fn a_refused_tunnel_leaves_the_connection_readable() {
    let wire = exchange(&[
        "CONNECT h:443 HTTP/1.1\r\n\r\n",
        "HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nno",
        "GET / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 204 No\r\n\r\n",
    ]);
    assert_eq!(wire.host.records.iter().map(|r| r.status).collect::<Vec<_>>(), [405, 204]);
}

#[test]
fn connections_of_other_kinds_are_counted_and_left_alone() {
    let tls = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, b'\n', 1];
    let cases: [(&[u8], Counter); 4] = [
        (&tls, Counter::ConnTls),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Counter::ConnHttp2),
        (b"*3\r\n$3\r\nSET\r\n", Counter::ConnOpaque),
        (b"GET /0.9\r\n", Counter::ConnOpaque),
    ];
    for (bytes, kind) in cases {
        let mut wire = wire();
        wire.send(Way::Request, bytes);
        wire.send(Way::Answer, b"\x16\x03\x03");
        assert_eq!((wire.count(kind), wire.count(Counter::ConnHttp1)), (1, 0));
        assert_eq!(wire.count(Counter::Seen), 0);
        assert!(wire.is_blind());
    }
}

#[test]
fn bytes_that_are_no_request_are_not_counted_whatever_the_server_says() {
    for garbage in ["get / http/1.1\r\n\r\n", "GET /\r\n\r\n", "\x01\x02\r\n", " GET / HTTP/1.1\r\n"] {
        let wire = exchange(&[garbage, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"]);
        assert_eq!((wire.count(Counter::Seen), wire.host.records.len()), (0, 0), "{garbage:?}");
    }
}

#[test]
fn unknown_methods_odd_case_and_bare_line_feeds_are_requests_all_the_same() {
    let wire = exchange(&[
        "\r\n\nPROPFIND /dav HTTP/1.1\ncOnTeNt-LeNgTh:\t3 \n\nabc",
        "HTTP/1.1 207 Multi\nCONTENT-LENGTH: 2\n\nok",
        "get /lower HTTP/1.0\r\n\r\n",
        "HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n",
    ]);
    assert_eq!(
        summary(&wire),
        [
            ("_OTHER", 207, Outcome::Answered, "/dav".into()),
            ("_OTHER", 999, Outcome::Answered, "/lower".into())
        ]
    );
    assert_eq!(wire.count(Counter::EndedOther), 1);
}

#[test]
fn a_path_longer_than_what_is_kept_is_cut_and_marked() {
    let long = format!("/{}", "a".repeat(9_000));
    let wire =
        exchange(&[&format!("GET {long} HTTP/1.1\r\nCookie: {long}\r\n\r\n"), "HTTP/1.1 414 Long\r\n\r\n"]);
    let mut wire = wire;
    wire.end(Way::Answer, false);
    let r = only(&wire);
    assert_eq!(r.path(), &long.as_bytes()[..PATH_MAX]);
    assert_eq!(r.flags & flags::PATH_CUT, flags::PATH_CUT);
    assert_eq!(r.method(), Method::Get);
}

#[test]
fn retransmitted_and_overlapping_segments_count_once() {
    let mut wire = wire();
    wire.send(Way::Request, &GET.as_bytes()[..10]);
    wire.segment(Way::Request, 1_000, &GET.as_bytes()[..10]);
    wire.segment(Way::Request, 1_005, &GET.as_bytes()[5..]);
    wire.segment(Way::Request, 1_000, GET.as_bytes());
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wire.segment(Way::Answer, 9_000, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((wire.count(Counter::Seen), wire.host.records.len(), wire.count(Counter::Resyncs)), (1, 1, 0));
}

#[test]
fn a_hole_within_a_body_is_bridged() {
    let mut wire = exchange(&[GET, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"]);
    wire.miss(Way::Answer, 50);
    wire.send(Way::Answer, &[b'x'; 40]);
    assert_eq!(only(&wire).outcome(), Outcome::Answered);
    assert_eq!(wire.count(Counter::Resyncs), 0);
}

#[test]
fn a_hole_within_a_head_is_counted_and_the_place_found_again() {
    let mut wire = exchange(&[GET, "HTTP/1.1 200 OK\r\nConte"]);
    wire.miss(Way::Answer, 20);
    wire.send(Way::Answer, b"body");
    wire.send(Way::Request, b"GET /again HTTP/1.1\r\n\r\n");
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(summary(&wire), [("GET", 200, Outcome::Answered, "/again".into())]);
    assert_eq!((wire.count(Counter::Resyncs), wire.count(Counter::LostResync)), (1, 1));
    assert!(wire.balanced());
}

#[test]
fn a_connection_older_than_the_observer_is_known_from_its_next_request_on() {
    let mut wire = Wire::unknown();
    wire.segment(Way::Answer, 77, b"rest of some body HTTP/1.1 200 OK\r\n\r\n");
    wire.segment(Way::Request, 500, b"GET /mid HTTP/1.1\r\n\r\n");
    wire.segment(Way::Answer, 200, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(summary(&wire), [("GET", 200, Outcome::Answered, "/mid".into())]);
}

#[test]
fn an_early_answer_does_not_confuse_the_rest_of_the_request() {
    let mut wire = exchange(&[
        "POST /big HTTP/1.1\r\nContent-Length: 20\r\n\r\n0123456789",
        "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
    ]);
    wire.send(Way::Request, b"GET /x HTTPGET /next HTTP/1.1\r\n\r\n".get(4..).unwrap_or_default());
    assert_eq!(only(&wire).status, 413);
    assert_eq!(wire.count(Counter::Seen), 1);
}

#[test]
fn a_full_ring_is_a_counted_loss() {
    let mut wire = wire();
    wire.host.ring_full = true;
    wire.send(Way::Request, GET.as_bytes());
    wire.send(Way::Answer, b"HTTP/1.1 204 No\r\n\r\n");
    assert_eq!((wire.count(Counter::LostRing), wire.count(Counter::Seen)), (1, 1));
    assert!(wire.balanced());
}

#[test]
fn more_pipelined_requests_than_places_are_counted_and_the_others_stay_right() {
    let mut wire = wire();
    for n in 0..20 {
        wire.send(Way::Request, format!("GET /{n} HTTP/1.1\r\n\r\n").as_bytes());
    }
    for n in 0..20 {
        wire.send(Way::Answer, format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", 200 + n).as_bytes());
    }
    let got: Vec<_> = wire.host.records.iter().map(|r| (r.path().to_vec(), r.status)).collect();
    let expected: Vec<_> = (0..16).map(|n| (format!("/{n}").into_bytes(), 200 + n)).collect();
    assert_eq!(got, expected);
    assert_eq!(wire.count(Counter::LostPending), 4);
    wire.send(Way::Request, b"GET /next HTTP/1.1\r\n\r\n");
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.host.records.len(), 17);
    assert!(wire.balanced());
}

#[test]
fn a_request_whose_place_was_lost_is_lost_and_not_a_failure_of_the_server() {
    let mut wire = exchange(&[GET, "HTTP/1.1 200 OK\r\nConte"]);
    wire.miss(Way::Answer, 20);
    wire.send(Way::Answer, b"body");
    wire.end(Way::Answer, false);
    assert!(wire.host.records.is_empty());
    assert_eq!(wire.count(Counter::LostResync), 1);
}

#[test]
fn a_fin_that_overtakes_the_end_of_the_body_cuts_nothing() {
    let mut wire = wire();
    wire.send(Way::Request, GET.as_bytes());
    let start = wire.next_seq(Way::Answer);
    let (head, body) = (b"HTTP/1.1 200 OK\r\n\r\n", b"until the end");
    let at = start.wrapping_add(head.len() as u32);
    wire.arrive(Way::Answer, at, body, true);
    assert!(wire.host.records.is_empty());
    wire.arrive(Way::Answer, start, head, false);
    let r = only(&wire);
    assert_eq!((r.status, r.outcome()), (200, Outcome::Answered));
    assert_eq!(r.response_bytes, (head.len() + body.len()) as u64);
}

#[test]
fn a_bare_fin_that_overtakes_the_body_ends_it_at_the_close() {
    let mut wire = wire();
    wire.send(Way::Request, GET.as_bytes());
    let start = wire.next_seq(Way::Answer);
    let answer = b"HTTP/1.1 200 OK\r\n\r\nuntil the end";
    wire.arrive(Way::Answer, start.wrapping_add(answer.len() as u32), b"", true);
    wire.arrive(Way::Answer, start, answer, false);
    wire.close(false);
    let r = only(&wire);
    assert_eq!((r.status, r.outcome(), r.response_bytes), (200, Outcome::Answered, answer.len() as u64));
}

#[test]
fn more_segments_out_of_order_than_can_wait_lose_the_place_and_balance() {
    let mut wire = wire();
    let start = wire.next_seq(Way::Request);
    for n in 1..=4 {
        wire.arrive(Way::Request, start.wrapping_add(n * 20), b"0123456789", false);
    }
    assert_eq!(wire.count(Counter::Resyncs), 1);
    assert!(wire.balanced());
}

#[test]
fn a_request_is_known_by_its_id_on_every_leg() {
    let id = |headers: &str| {
        let mut wire = wire();
        wire.send(Way::Request, format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes());
        wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
        only(&wire).request_id
    };
    let plain = id("Host: a\r\nX-Request-Id: 0f7f2a3c-11\r\n");
    assert_ne!(plain, 0);
    assert_eq!(plain, id("x-request-id:0f7f2a3c-11\r\nVia: 1.1 hosp\r\n"));
    assert_ne!(plain, id("X-Request-Id: 0f7f2a3c-12\r\n"));
    assert_eq!(id("Host: a\r\n"), 0);
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let next_hop = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01\r\n";
    assert_ne!(id(trace), 0);
    assert_eq!(id(trace), id(next_hop));
    let both = format!("{trace}X-Request-Id: 0f7f2a3c-11\r\n{trace}");
    assert_eq!(id(&both), plain, "the request's own id goes before the trace's");
    assert_eq!(id("X-Request-Id:\r\ntraceparent: 00-4bf9\r\n"), 0);
}

#[test]
fn the_time_that_a_request_lies_unread_is_told() {
    let mut wire = wire();
    wire.send(Way::Request, GET.as_bytes());
    wire.send(Way::Request, GET.as_bytes());
    wire.read();
    wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    wire.read();
    wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    wire.send(Way::Request, GET.as_bytes());
    wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    let unread: Vec<_> = wire.host.records.iter().map(|r| r.unread_ns).collect();
    assert_eq!(unread, [2_000, 1_000, 0], "by the read that found it; nothing where none did");
}

#[test]
fn reads_are_told_for_as_many_requests_as_can_wait() {
    let mut wire = wire();
    for _ in 0..40 {
        wire.send(Way::Request, GET.as_bytes());
        wire.read();
        wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    }
    assert!(wire.host.records.iter().all(|r| r.unread_ns == 1_000));
}

#[test]
fn a_place_lost_among_requests_that_overlap_is_not_found_again_by_guess() {
    let mut wire = wire();
    wire.send(Way::Request, GET.as_bytes());
    // Two more pass unseen; then one is seen, at the start of a segment.
    wire.miss(Way::Request, 2 * GET.len() as u32);
    wire.send(Way::Request, GET.as_bytes());
    wire.send(Way::Request, GET.as_bytes());
    for status in [200, 201, 202, 203, 204] {
        wire.send(Way::Answer, format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
    wire.close(false);
    let wrong: Vec<_> = wire.host.records.iter().map(|r| (r.ordinal, r.status)).collect();
    assert!(wrong.iter().all(|&(ordinal, status)| (ordinal, status) == (1, 200)), "{wrong:?}");
    assert!(wire.is_blind());
    assert_eq!(wire.count(Counter::Resyncs), 1);
    assert!(wire.balanced());
}

#[test]
fn an_answer_too_many_after_a_lost_place_loses_it_again_and_no_more() {
    let mut wire = wire();
    wire.send(Way::Request, GET.as_bytes());
    wire.miss(Way::Answer, 40);
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wire.send(Way::Request, GET.as_bytes());
    wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(only(&wire).status, 204);
    assert_eq!(wire.count(Counter::LostResync), 1);
    assert!(wire.balanced());
}

#[test]
fn an_answer_longer_than_it_said_costs_its_successors_nothing() {
    let mut wire = wire();
    wire.send(Way::Request, b"HEAD /a HTTP/1.1\r\n\r\n");
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for _ in 0..3 {
        wire.send(Way::Request, GET.as_bytes());
        wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    }
    let statuses: Vec<_> = wire.host.records.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 204, 204, 204]);
    assert_eq!(wire.count(Counter::Resyncs), 1);
    wire.close(false);
    assert!(wire.balanced());
}

#[test]
fn a_lone_cr_between_requests_does_not_age_the_next_one() {
    let mut wire = wire();
    wire.send(Way::Request, b"\r");
    wire.host.now_ns += 1_000_000_000;
    wire.send(Way::Request, b"\n");
    wire.send(Way::Request, GET.as_bytes());
    wire.send(Way::Answer, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert!(only(&wire).duration_ns < 1_000_000);
}
