//! Requests that get no whole answer say who ended the connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use rustix::net::sockopt;

use crate::dialogue::Dialogue;
use crate::rig::{PATIENCE, Rig, runnable};
use xtask::poll;

const REQUEST: &[u8] = b"GET /patients/1 HTTP/1.1\r\nHost: h\r\n\r\n";
const PART: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";

/// Ends a connection with RST instead of FIN.
fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
}

/// Waits until the other end has gone.
fn await_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // Reset or closed: an end either way.
    let _ = stream.read_to_end(&mut rest);
}

/// How an exchange ends that the client breaks off by RST: after so many bytes of the request and of the answer.
fn reset_after(rig: &Rig, asked: usize, answered: usize) -> Vec<(String, u64)> {
    let mut talk = Dialogue::new();
    talk.ask(&REQUEST[..asked]);
    talk.answer(&PART[..answered]);
    reset(talk.client);
    await_end(&mut talk.server);
    drop(talk.server);
    // A whole exchange afterwards: once it shows, so would what was before it.
    let mut after = Dialogue::new();
    after.ask(REQUEST);
    after.answer("HTTP/1.1 204 No Content\r\n\r\n");
    poll::until("the exchange afterwards", PATIENCE, || {
        (rig.endings("server", after.port) == [("204 ".to_owned(), 1)]).then_some(())
    })
    .unwrap();
    rig.endings("server", talk.port)
}

#[test]
fn a_reset_at_any_point_makes_at_most_one_record() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let line = REQUEST.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let status = PART.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for (asked, answered, want) in [
        // No request line, no request.
        (0, 0, None),
        (line - 1, 0, None),
        (line, 0, Some("0 client_reset")),
        (REQUEST.len() - 1, 0, Some("0 client_reset")),
        (REQUEST.len(), 0, Some("0 client_reset")),
        (REQUEST.len(), 5, Some("0 client_reset")),
        (REQUEST.len(), status, Some("200 client_reset")),
        (REQUEST.len(), PART.len(), Some("200 client_reset")),
    ] {
        let want: Vec<_> = want.into_iter().map(|ending| (ending.to_owned(), 1)).collect();
        assert_eq!(reset_after(&rig, asked, answered), want, "after {asked} and {answered} bytes");
    }
    let scrape = rig.scrape();
    assert_eq!((rig.lost(), scrape.sum("hosp_agent_requests_open", &[])), (0.0, 0.0));
    assert_eq!(scrape.sum("hosp_agent_books_balanced", &[]), 1.0);
}

/// Lets `server` and `client` each do their part of one exchange, and returns how the agent says it ended on the
/// server leg.
fn ending(rig: &Rig, server: fn(TcpStream), client: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; REQUEST.len()];
        stream.read_exact(&mut request).unwrap();
        server(stream);
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(REQUEST).unwrap();
    client(stream);
    serving.join().unwrap();
    let seen = poll::until("a record", PATIENCE, || {
        let endings = rig.endings("server", port);
        (!endings.is_empty()).then_some(endings)
    })
    .unwrap();
    let [(ending, 1)] = &seen[..] else { panic!("{seen:?}") };
    ending.clone()
}

#[test]
fn every_kind_of_ending_is_told_apart() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let wait = |mut stream: TcpStream| await_end(&mut stream);
    assert_eq!(ending(&rig, drop, wait), "0 server_closed");
    assert_eq!(ending(&rig, reset, wait), "0 server_reset");
    assert_eq!(ending(&rig, wait, reset), "0 client_reset");
    assert_eq!(ending(&rig, wait, drop), "0 client_closed");
    let part = |mut stream: TcpStream| stream.write_all(PART).unwrap();
    assert_eq!(ending(&rig, part, wait), "200 cut_body");
    let until_close = |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nsome").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        await_end(&mut stream);
    };
    assert_eq!(ending(&rig, until_close, wait), "200 ");
    assert_eq!(rig.lost(), 0.0);
}

#[test]
fn requests_still_open_when_the_agent_ends_are_told() {
    if !runnable(&[]) {
        return;
    }
    let mut rig = Rig::new();
    let mut talk = Dialogue::new();
    talk.ask(REQUEST);
    let open = || rig.scrape().sum("hosp_agent_requests_open", &[]) == 2.0;
    poll::until("the request on both legs", PATIENCE, || open().then_some(())).unwrap();
    rig.stop();
    let log = rig.agent.log_tail(10);
    for leg in ["Server", "Client"] {
        assert!(log.lines().any(|line| line.contains("still open") && line.contains(leg)), "{log}");
    }
}

#[test]
fn other_protocols_are_counted_by_kind() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    for opening in [&b"\x16\x03\x01\x00\x05hello"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"EHLO there\r\n"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.write_all(opening).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        accepted.read_exact(&mut vec![0; opening.len()]).unwrap();
    }
    for kind in ["tls", "http2", "opaque"] {
        let counted = || rig.scrape().sum("hosp_agent_connections_total", &[("kind", kind)]) >= 2.0;
        poll::until(kind, PATIENCE, || counted().then_some(())).unwrap();
    }
}
