//! Where the machine is deliberately laxer or stricter than httparse, row by row.
//!
//! A request is a request line with an HTTP/1.x version, counted once, under its final status: what servers answer to,
//! not what is right. Many such requests they refuse, with a status that is worth counting. Not counted are
//! bytes that are no HTTP/1 request, whatever the server answers to them.

use hosp_agent_ebpf::Counter;
use httparse::{EMPTY_HEADER, Status};

use crate::wire::{Way, Wire};

/// What httparse makes of a head.
fn accepted(bytes: &[u8]) -> bool {
    let mut fields = [EMPTY_HEADER; 8];
    matches!(httparse::Request::new(&mut fields).parse(bytes), Ok(Status::Complete(_)))
}

fn seen(bytes: &[u8]) -> u64 {
    let mut wire = Wire::new(1, 1);
    wire.send(Way::Request, bytes);
    wire.count(Counter::Seen)
}

#[test]
fn requests_that_servers_refuse_with_a_status_are_counted() {
    let laxer = [
        ("a later version", "GET / HTTP/1.7\r\n\r\n"),
        ("blanks within the target", "GET /a b HTTP/1.1\r\n\r\n"),
        ("control characters within the target", "GET /\u{1}\u{7f} HTTP/1.1\r\n\r\n"),
        ("a field name with a blank", "GET / HTTP/1.1\r\nX Y: 1\r\n\r\n"),
        ("a blank before the colon", "GET / HTTP/1.1\r\nX : 1\r\n\r\n"),
        ("a folded line", "GET / HTTP/1.1\r\nX: 1\r\n 2\r\n\r\n"),
        ("a field without a colon", "GET / HTTP/1.1\r\nX\r\n\r\n"),
        (
            "more fields than httparse has room for",
            &format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(9)),
        ),
    ];
    for (what, request) in laxer {
        assert!(!accepted(request.as_bytes()), "{what}: httparse takes it by now");
        assert_eq!(seen(request.as_bytes()), 1, "{what}");
    }
}

#[test]
fn what_is_no_request_for_us_is_not_counted() {
    let alike = [
        ("HTTP/0.9", "GET /\r\n\r\n"),
        ("a lower-case version", "GET / http/1.1\r\n\r\n"),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\n"),
        ("no method", " / HTTP/1.1\r\n\r\n"),
        ("no target", "GET  HTTP/1.1\r\n\r\n"),
        ("a version of two digits", "GET / HTTP/1.10\r\n\r\n"),
        ("something behind the version", "GET / HTTP/1.1 x\r\n\r\n"),
    ];
    for (what, request) in alike {
        assert!(!accepted(request.as_bytes()), "{what}: httparse takes it by now");
        assert_eq!(seen(request.as_bytes()), 0, "{what}");
    }
    let stricter = [("a method of over 23 bytes", format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(24)))];
    for (what, request) in stricter {
        assert!(accepted(request.as_bytes()), "{what}: httparse refuses it by now");
        assert_eq!(seen(request.as_bytes()), 0, "{what}");
    }
}

#[test]
fn bodies_whose_framing_servers_refuse_are_read_by_the_last_word() {
    // Server and client close such a connection: all that matters is that the request itself is counted once.
    let faulty = [
        ("two lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        (
            "a length and chunks",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a length that is none", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        ("a coding that is not chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"),
        (
            "a chunk size with something behind it",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3xyz\r\nabc\r\n0\r\n\r\n",
        ),
    ];
    for (what, request) in faulty {
        assert_eq!(seen(request.as_bytes()), 1, "{what}");
        let followed = format!("{request}GET /next HTTP/1.1\r\n\r\n");
        assert_eq!(seen(followed.as_bytes()), 2, "{what}, followed by another request");
    }
}

#[test]
fn framing_that_is_written_oddly_is_followed_or_counted_as_lost() {
    let long = " ".repeat(5);
    let odd = [
        ("many blanks before a length", format!("POST / HTTP/1.1\r\nContent-Length:{long}5\r\n\r\nhello")),
        ("many zeros before a length", format!("POST / HTTP/1.1\r\nContent-Length: {:019}\r\n\r\nhello", 5)),
        (
            "many zeros before a chunk's size",
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:016}\r\nhello\r\n0\r\n\r\n", 5),
        ),
        (
            "many blanks behind the coding",
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked{long}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ),
    ];
    for (what, request) in odd {
        assert!(accepted(request.as_bytes()), "{what}: httparse refuses it by now");
        let mut wire = Wire::new(1, 1);
        wire.send(Way::Request, format!("{request}GET /next HTTP/1.1\r\n\r\n").as_bytes());
        wire.send(Way::Answer, &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(2));
        let methods: Vec<_> = wire.host.records.iter().map(|record| record.method().as_str()).collect();
        let followed = methods == ["POST", "GET"];
        assert!(followed || wire.count(Counter::Resyncs) > 0, "{what}: {methods:?}");
    }
}

#[test]
fn a_coding_whose_name_only_ends_like_chunked_is_another() {
    let mut wire = Wire::new(1, 1);
    wire.send(Way::Request, b"GET / HTTP/1.1\r\n\r\n");
    wire.send(Way::Answer, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n");
    assert!(wire.host.records.is_empty(), "the answer lasts until the connection ends");
}
