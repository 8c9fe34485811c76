//! Where messages begin and end, for every framing of RFC 9112 and in every segmentation, on real sockets.

use std::net::{Shutdown, TcpListener};

use hosp_feed::{Leg, Outcome, Request};
use xtask::poll;

use crate::dialogue::Dialogue;
use crate::rig::{PATIENCE, Rig, runnable};

/// One request and its answer.
struct Exchange {
    ask: Vec<u8>,
    answer: Vec<u8>,
    method: &'static str,
    status: u16,
}

fn exchange(method: &'static str, status: u16, ask: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Exchange {
    Exchange { ask: ask.as_ref().to_vec(), answer: answer.as_ref().to_vec(), method, status }
}

/// An exchange that shows whether the one before it ended where it should.
fn plain() -> Exchange {
    exchange(
        "GET",
        200,
        "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
}

/// What a record must say: method, status, bytes of the request, bytes of the answer, how it ended.
type Facts = (String, u16, u64, u64, Outcome);

impl Exchange {
    fn facts(&self) -> Facts {
        // Empty lines before a request are no part of it (RFC 9112 §2.2).
        let (asked, answered) = (self.ask.trim_ascii_start().len() as u64, self.answer.len() as u64);
        (self.method.to_owned(), self.status, asked, answered, Outcome::Answered)
    }
}

fn facts(request: &Request) -> Facts {
    let r = request;
    (r.method.clone(), r.status, r.request_bytes, r.response_bytes, r.outcome)
}

/// Both legs have recorded exactly these requests on `port`.
fn expect(rig: &Rig, name: &str, port: u16, mut want: Vec<Facts>) {
    want.sort_by_key(|facts| format!("{facts:?}"));
    let seen = rig.logged(port, 2 * want.len());
    for leg in [Leg::Server, Leg::Client] {
        let mut seen: Vec<Facts> = seen.iter().filter(|r| r.leg == leg).map(facts).collect();
        seen.sort_by_key(|facts| format!("{facts:?}"));
        assert_eq!(seen, want, "{name}, {leg:?} leg");
    }
}

/// Nothing was lost, nothing was counted that nobody expected, and the books balance.
fn exact(rig: &Rig) {
    let scrape = rig.scrape();
    assert_eq!(rig.lost(), 0.0);
    assert_eq!(scrape.sum("hosp_agent_resyncs_total", &[]), 0.0);
    assert_eq!(scrape.sum("hosp_agent_books_balanced", &[]), 1.0);
}

const POST: &str = "POST /n HTTP/1.1\r\nHost: h\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A body of 79 bytes that holds the beginning of a request and of an answer.
const DECOY: &str =
    "\r\n\r\nGET /fake HTTP/1.1\r\nHost: h\r\n\r\nHTTP/1.1 500 Fake\r\nContent-Length: 9999\r\n\r\n\r\n";

fn with_length(head: &str, body: &str) -> String {
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn chunked(head: &str, body: &str) -> String {
    let (a, b) = body.split_at(body.len() / 2);
    let size = |text: &str| format!("{:X}", text.len());
    format!(
        "{head}Transfer-Encoding: chunked\r\nTrailer: T\r\n\r\n{};name=\"value\"\r\n{a}\r\n000{} ; x\r\n{b}\r\n0\r\nT: 1\r\nGET: / HTTP/1.1\r\n\r\n",
        size(a),
        size(b)
    )
}

/// What ends by its own framing, so that any number of them share a connection.
fn cases() -> Vec<(&'static str, Vec<Exchange>)> {
    let get = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    vec![
        ("pipelined", (0..12).map(|_| plain()).collect()),
        (
            "bodies by length that look like heads",
            vec![exchange("POST", 200, with_length(POST, DECOY), with_length(OK, DECOY)), plain()],
        ),
        (
            "chunks with extensions and trailers",
            vec![exchange("POST", 200, chunked(POST, DECOY), chunked(OK, DECOY)), plain()],
        ),
        (
            "HEAD",
            vec![
                exchange("HEAD", 200, get("HEAD / HTTP/1.1"), format!("{OK}Content-Length: 5000\r\n\r\n")),
                exchange(
                    "HEAD",
                    200,
                    get("HEAD / HTTP/1.1"),
                    format!("{OK}Transfer-Encoding: chunked\r\n\r\n"),
                ),
                plain(),
            ],
        ),
        (
            "no body by status",
            vec![
                exchange(
                    "GET",
                    204,
                    get("GET / HTTP/1.1"),
                    "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
                ),
                exchange(
                    "GET",
                    304,
                    get("GET / HTTP/1.1"),
                    "HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n",
                ),
                plain(),
            ],
        ),
        (
            "interim answers before the final one",
            vec![
                exchange(
                    "POST",
                    201,
                    with_length(&format!("{POST}Expect: 100-continue\r\n"), "abc"),
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
                ),
                exchange(
                    "GET",
                    200,
                    get("GET / HTTP/1.1"),
                    format!(
                        "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n{EMPTY}"
                    ),
                ),
                plain(),
            ],
        ),
        (
            "leniency: empty lines before a request, bare line feeds, odd case, folded lines",
            vec![
                exchange("GET", 200, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", EMPTY),
                exchange(
                    "POST",
                    200,
                    "POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc",
                    "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
                ),
                exchange(
                    "POST",
                    200,
                    "POST / HTTP/1.1\r\ncOnTeNt-LeNgTh:\t 3 \r\n\r\nabc",
                    "HTTP/1.1 200 \r\nCONTENT-length:2\r\n\r\nok",
                ),
                exchange(
                    "PUT",
                    200,
                    "PUT / HTTP/1.1\r\nX: a\r\n Content-Length: 9\r\nTRANSFER-encoding: CHUNKED\r\n\r\n0\r\n\r\n",
                    EMPTY,
                ),
                plain(),
            ],
        ),
        (
            "forms of targets and methods",
            vec![
                exchange("OPTIONS", 200, get("OPTIONS * HTTP/1.1"), EMPTY),
                exchange("GET", 200, get("GET http://example.test/a?b HTTP/1.1"), EMPTY),
                exchange("_OTHER", 200, get("PROPFIND /x HTTP/1.1"), EMPTY),
                exchange(
                    "DELETE",
                    799,
                    get("DELETE /x HTTP/1.0"),
                    "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n",
                ),
                plain(),
            ],
        ),
        (
            "a CONNECT that is refused",
            vec![
                exchange(
                    "CONNECT",
                    407,
                    "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
                    "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno",
                ),
                plain(),
            ],
        ),
    ]
}

#[test]
fn every_framing_is_counted_exactly_in_every_segmentation() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let mut all = Vec::new();
    for (name, exchanges) in cases() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut port = 0;
        let mut want = Vec::new();
        let asks: Vec<u8> = exchanges.iter().flat_map(|e| e.ask.clone()).collect();
        let answers: Vec<u8> = exchanges.iter().flat_map(|e| e.answer.clone()).collect();
        for piece in [1, 7, usize::MAX] {
            // All at once, and then one after the other.
            let mut talk = Dialogue::on(&listener, "127.0.0.1");
            talk.ask_by(piece, &asks);
            talk.answer_by(piece, &answers);
            for one in &exchanges {
                talk.ask_by(piece, &one.ask);
                talk.answer_by(piece, &one.answer);
            }
            port = talk.port;
            talk.close();
            want.extend(exchanges.iter().chain(&exchanges).map(Exchange::facts));
        }
        all.push((name, port, want));
    }
    let (mut requests, mut responses) = (0, 0);
    for (name, port, want) in all {
        requests += want.iter().map(|facts| facts.2).sum::<u64>();
        responses += want.iter().map(|facts| facts.3).sum::<u64>();
        expect(&rig, name, port, want);
    }
    exact(&rig);
    let scrape = rig.scrape();
    for leg in ["server", "client"] {
        let sum = |name| scrape.sum(name, &[("leg", leg)]) as u64;
        assert_eq!(sum("hosp_agent_request_bytes_total"), requests);
        assert_eq!(sum("hosp_agent_response_bytes_total"), responses);
    }
}

#[test]
fn heads_of_64_kib_are_read_in_segments_of_one_byte() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let mut talk = Dialogue::new();
    let fields = format!("X-Long: {}\r\n", "v".repeat(1_000)).repeat(64);
    let message = |first: &str| {
        let start = format!("{first}\r\n{fields}Content-Length: 3\r\nX-Rest: ");
        let rest = "r".repeat(64 * 1024 - start.len() - "\r\n\r\n".len());
        format!("{start}{rest}\r\n\r\nabc")
    };
    let long = exchange("POST", 200, message("POST /long HTTP/1.1"), message("HTTP/1.1 200 OK"));
    talk.ask_by(1, &long.ask);
    talk.answer_by(1, &long.answer);
    let plain = plain();
    talk.ask(&plain.ask);
    talk.answer(&plain.answer);
    expect(&rig, "64 KiB", talk.port, vec![long.facts(), plain.facts()]);
    exact(&rig);
}

#[test]
fn a_body_until_the_connection_closes_ends_with_it() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let until_close = exchange("GET", 200, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", format!("{OK}\r\n{DECOY}"));
    for piece in [1, usize::MAX] {
        let mut talk = Dialogue::new();
        talk.ask_by(piece, &until_close.ask);
        // Half-closed: the client has said all that it will, and still listens.
        talk.client.shutdown(Shutdown::Write).unwrap();
        talk.answer_by(piece, &until_close.answer);
        let port = talk.port;
        talk.close();
        expect(&rig, "until close", port, vec![until_close.facts()]);
    }
    exact(&rig);
}

#[test]
fn an_answer_that_comes_before_the_requests_end_does_not_confuse_the_next() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let mut talk = Dialogue::new();
    let body = DECOY.repeat(1_000);
    let ask = with_length(POST, &body);
    let (early, late) = ask.split_at(ask.len() / 3);
    let refused = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    talk.ask(early);
    talk.answer(refused);
    talk.ask(late);
    let plain = plain();
    talk.ask(&plain.ask);
    talk.answer(&plain.answer);
    let refused = ("POST".to_owned(), 413, early.len() as u64, refused.len() as u64, Outcome::Answered);
    expect(&rig, "early answer", talk.port, vec![refused, plain.facts()]);
    exact(&rig);
}

#[test]
fn what_flows_through_a_tunnel_is_not_counted() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let upgrade = exchange(
        "GET",
        101,
        "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    let connect = exchange(
        "CONNECT",
        200,
        "CONNECT example.test:80 HTTP/1.1\r\nHost: example.test:80\r\n\r\n",
        "HTTP/1.1 200 Connected\r\n\r\n",
    );
    for first in [upgrade, connect] {
        let mut talk = Dialogue::new();
        talk.ask(&first.ask);
        talk.answer(&first.answer);
        for _ in 0..3 {
            talk.ask(plain().ask);
            talk.answer(plain().answer);
        }
        let port = talk.port;
        talk.close();
        expect(&rig, "tunnel", port, vec![first.facts()]);
    }
    let opaque = || rig.scrape().sum("hosp_agent_connections_total", &[("kind", "opaque")]) == 4.0;
    poll::until("both tunnels on both legs", PATIENCE, || opaque().then_some(())).unwrap();
    exact(&rig);
}
