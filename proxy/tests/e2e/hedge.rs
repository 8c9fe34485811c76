//! Slow tries that get another one beside them, and answers that are continued where they broke off.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use crate::support::{Client, Origin, Proxy, Reply, Settings, eventually, exchange, get, ok, raw};

/// Requests after which the proxy knows how long the origin takes.
const ENOUGH: usize = 300;

/// Answers at once, but never to the request after [`ENOUGH`] others, as long as the sender is held.
fn hangs_once() -> (Sender<()>, Origin) {
    let (hold, never) = channel();
    let never = Mutex::new(Some(never));
    let origin = Origin::new(move |seen| match seen.number {
        ENOUGH => Reply::Wait(never.lock().unwrap().take().unwrap(), vec![]),
        _ => Reply::Send(ok("fine")),
    });
    (hold, origin)
}

fn learnt(origin: &Origin, method: &str, flags: &str) -> Proxy {
    let file = "[retry]\nhedge_floor = '20ms'\n[cache]\nsize = '0'";
    let proxy = Proxy::start(&[&origin.url()], Settings { file, flags });
    let mut client = Client::connect(proxy.address);
    for _ in 0..ENOUGH {
        assert_eq!(client.send(raw(method, "/", &[], "")).answer().status, 200);
    }
    proxy
}

#[test]
fn a_read_that_hangs_is_answered_by_a_second_try_and_the_first_is_cancelled() {
    let (_hold, origin) = hangs_once();
    let proxy = learnt(&origin, "GET", "");
    let answer = get(proxy.address, "/", &[]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    assert_eq!(origin.hits(), ENOUGH + 2);
    assert_eq!(proxy.metric("hosp_proxy_hedges_total{result=\"won\"}"), 1);
    eventually("the loser's connection is given up", || origin.abandoned() == 1);
}

#[test]
fn a_write_that_hangs_is_never_sent_beside_itself() {
    let (_hold, origin) = hangs_once();
    let proxy = learnt(&origin, "POST", "--deadline 300ms");
    assert_eq!(exchange(proxy.address, raw("POST", "/", &[], "a note")).status, 504);
    assert_eq!(origin.hits(), ENOUGH + 1);
    assert_eq!(proxy.metric("hosp_proxy_hedges_total{result=\"made\"}"), 0);
}

/// Cuts its first answer after five of ten bytes; `rest` is the next one.
fn cuts(rest: &'static str) -> Origin {
    Origin::new(move |seen| match seen.number {
        0 => {
            Reply::SendAndClose(b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n01234".to_vec())
        }
        _ => Reply::Send(rest.as_bytes().to_vec()),
    })
}

#[test]
fn an_answer_that_breaks_off_is_continued_and_arrives_whole() {
    let part = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789";
    let whole = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n0123456789";
    for rest in [part, whole] {
        let origin = cuts(rest);
        let proxy = Proxy::start(&[&origin.url()], Settings::default());
        let answer = get(proxy.address, "/", &[]);
        assert_eq!((answer.status, answer.text().as_str()), (200, "0123456789"));
        let seen = origin.seen();
        assert_eq!((seen[1].one("range"), seen[1].one("if-range")), (Some("bytes=5-"), Some("\"a\"")));
        assert_eq!(proxy.metric("hosp_proxy_answers_resumed_total"), 1);
    }
}

#[test]
fn the_rest_of_something_else_is_not_taken() {
    let other = "HTTP/1.1 200 OK\r\nETag: \"b\"\r\nContent-Length: 10\r\n\r\nabcdefghij";
    let shifted = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789";
    for rest in [other, shifted] {
        let origin = cuts(rest);
        let proxy = Proxy::start(&[&origin.url()], Settings::default());
        let mut client = Client::connect(proxy.address);
        client.send(raw("GET", "/", &[], "")).answer_to("GET").unwrap_err();
        eventually("the cut is counted", || proxy.metric("hosp_proxy_answers_cut_total") == 1);
        assert_eq!(origin.hits(), 2);
    }
}
