//! What goes over the wire: heads, framing, and how connections end.

use std::io::Read;
use std::sync::mpsc::channel;

use crate::support::{Client, Origin, Proxy, Reply, Settings, eventually, exchange, get, ok, raw};

fn echo() -> Origin {
    Origin::new(|_| Reply::Send(ok("fine")))
}

fn proxy(origin: &Origin) -> Proxy {
    Proxy::start(&[&origin.url()], Settings { file: "[retry]\ntries = 1", ..Settings::default() })
}

#[test]
fn hop_by_hop_fields_go_no_further_in_either_direction() {
    let origin = Origin::new(|_| {
        let head = "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: secret\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n";
        Reply::Send(format!("{head}X-End: kept\r\nContent-Length: 0\r\n\r\n").into_bytes())
    });
    let proxy = proxy(&origin);
    let fields = [
        "Connection: keep-alive, X-Mine",
        "X-Mine: secret",
        "TE: trailers",
        "Keep-Alive: 5",
        "Proxy-Connection: x",
    ];
    let answer = get(proxy.address, "/", &[&fields[..], &["X-Kept: yes"]].concat());
    let seen = &origin.seen()[0];
    for name in ["connection", "x-mine", "te", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(seen.all(name).is_empty(), "{name} in {}", seen.head);
    }
    assert_eq!(seen.one("x-kept"), Some("yes"));
    for name in ["x-hop", "keep-alive", "upgrade"] {
        assert!(answer.all(name).is_empty(), "{name} in {}", answer.head);
    }
    assert_eq!(answer.field("x-end"), "kept");
}

#[test]
fn the_origin_is_told_of_the_client_and_the_client_of_the_proxy() {
    let origin = echo();
    let proxy = proxy(&origin);
    let answer =
        get(proxy.address, "/", &["X-Forwarded-For: 203.0.113.7", "X-Request-Id: my-id-1", "Via: 1.0 fred"]);
    let seen = &origin.seen()[0];
    assert_eq!(seen.one("host"), Some("hosp.example"));
    assert_eq!(seen.one("x-forwarded-for"), Some("203.0.113.7, 127.0.0.1"));
    assert_eq!(seen.one("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.one("x-forwarded-host"), Some("hosp.example"));
    assert_eq!(seen.one("forwarded"), Some("for=127.0.0.1;host=hosp.example;proto=http"));
    assert_eq!(seen.one("x-request-id"), Some("my-id-1"));
    assert_eq!(seen.all("via").join(", "), "1.0 fred, 1.1 hosp-proxy");
    assert_eq!(answer.field("x-request-id"), "my-id-1");
    assert_eq!(answer.field("via"), "1.1 hosp-proxy");
}

#[test]
fn a_request_without_an_id_gets_one() {
    let origin = echo();
    let proxy = proxy(&origin);
    let answer = get(proxy.address, "/", &[]);
    assert_eq!(origin.seen()[0].one("x-request-id"), Some(answer.field("x-request-id").as_str()));
    let other = get(proxy.address, "/", &["X-Request-Id: not valid!"]);
    assert_ne!(other.field("x-request-id"), answer.field("x-request-id"));
    assert_eq!(other.field("x-request-id").len(), 32);
}

#[test]
fn smuggled_lengths_are_refused_and_the_connection_is_closed() {
    let heads = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\ncontent-LENGTH: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
    ];
    let origin = echo();
    let proxy = proxy(&origin);
    for head in heads {
        let mut client = Client::connect(proxy.address);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let status = client.answer_to("POST").map(|a| a.status);
        assert_eq!(status.ok(), Some(400), "{head}");
        // What follows is never taken for a request. A reset is as good an end as a close.
        let mut rest = Vec::new();
        let _ = client.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{head}: {}", rest.escape_ascii());
    }
    assert_eq!(origin.hits(), 0);
}

#[test]
fn codings_that_nobody_would_undo_are_refused() {
    let origin = Origin::new(|_| {
        Reply::Send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec(),
        )
    });
    let proxy = proxy(&origin);
    assert_eq!(get(proxy.address, "/", &[]).status, 502);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(exchange(proxy.address, request).status, 501);
    assert_eq!(origin.hits(), 1);
}

#[test]
fn hosts_and_targets_are_checked() {
    let origin = echo();
    let proxy = proxy(&origin);
    let status = |request: &str| exchange(proxy.address, request).status;
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
    assert_eq!(status("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    assert_eq!(status("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 501);
    assert_eq!(origin.hits(), 0);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 200);
    assert_eq!(status("GET http://other.example/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    let seen = &origin.seen()[1];
    assert_eq!((seen.line(), seen.one("host")), ("GET /x?y HTTP/1.1", Some("other.example")));
}

#[test]
fn a_cut_body_never_looks_whole() {
    let bodies: [&[u8]; 2] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    for body in bodies {
        let origin = Origin::new(move |_| Reply::SendAndClose(body.to_vec()));
        let proxy = proxy(&origin);
        let mut client = Client::connect(proxy.address);
        client.send(raw("GET", "/", &[], "")).answer_to("GET").unwrap_err();
        eventually("the cut is counted", || proxy.metric("hosp_proxy_answers_cut_total") == 1);
    }
}

#[test]
fn a_cut_body_does_not_look_whole_to_an_http_1_0_client_either() {
    // To such a client a chunked answer becomes one that ends with its connection: only a reset tells.
    let origin = Origin::new(|_| {
        Reply::SendAndClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec())
    });
    let proxy = proxy(&origin);
    let mut client = Client::connect(proxy.address);
    let error = client.send("GET / HTTP/1.0\r\n\r\n").answer_to("GET").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn http_1_0_clients_are_served() {
    let origin = Origin::new(|_| {
        Reply::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".to_vec())
    });
    let proxy = proxy(&origin);
    let answer = exchange(proxy.address, "GET /old HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
    assert!(answer.all("transfer-encoding").is_empty());
    let seen = &origin.seen()[0];
    assert_eq!(seen.line(), "GET /old HTTP/1.1");
    assert_eq!(seen.one("host"), Some(origin.url().trim_start_matches("http://")));
    assert_eq!(seen.all("via"), ["1.0 hosp-proxy"]);
}

#[test]
fn answers_without_a_body_end_where_they_should() {
    let origin = Origin::new(|seen| {
        Reply::Send(match seen.line().split(' ').nth(1).unwrap() {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_vec(),
            "/103" => [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(), ok("final")].concat(),
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".to_vec(),
        })
    });
    let proxy = proxy(&origin);
    let mut client = Client::connect(proxy.address);
    for (method, path, status) in
        [("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/", 200), ("GET", "/103", 200)]
    {
        let answer = client.send(raw(method, path, &[], "")).answer_to(method).unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        if method == "HEAD" {
            assert_eq!(answer.field("content-length"), "12345");
        }
    }
    assert_eq!(origin.connections(), 1, "the connection to the origin stays usable");
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let origin = echo();
    let proxy = proxy(&origin);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    assert_eq!(client.send("body").answer().status, 200);
    assert_eq!(origin.seen()[0].body, b"body");
    assert!(origin.seen()[0].all("expect").is_empty());
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let (_hold, never) = channel();
    let never = std::sync::Mutex::new(Some(never));
    let origin = Origin::new(move |_| Reply::Wait(never.lock().unwrap().take().unwrap(), vec![]));
    let proxy = proxy(&origin);
    let mut client = Client::connect(proxy.address);
    client.send(raw("GET", "/", &[], ""));
    eventually("the request is at the origin", || origin.hits() == 1);
    drop(client);
    eventually("the origin's connection is closed", || origin.abandoned() == 1);
    let cancelled = "hosp_proxy_requests_total{http_request_method=\"GET\",http_response_status_code=\"0\"}";
    eventually("it is counted as unanswered", || proxy.metric(cancelled) == 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::new(|seen| Reply::Send(ok(seen.line())));
    let proxy = proxy(&origin);
    let mut client = Client::connect(proxy.address);
    client.send((0..20).map(|n| raw("GET", &format!("/{n}"), &[], "")).collect::<String>());
    for n in 0..20 {
        assert_eq!(client.answer().text(), format!("GET /{n} HTTP/1.1"));
    }
}

#[test]
fn large_bodies_stream_both_ways() {
    let origin = Origin::new(|seen| {
        let mut reply =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len()).into_bytes();
        reply.extend_from_slice(&seen.body);
        Reply::Send(reply)
    });
    let proxy = proxy(&origin);
    let large: String = (0..3_000_000u32).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let address = proxy.address;
    let answer = exchange(address, raw("POST", "/", &[], &large));
    assert_eq!(answer.body, large.as_bytes());
}

#[test]
fn connections_to_the_origin_are_reused() {
    let origin = echo();
    let proxy = proxy(&origin);
    (0..10).for_each(|_| assert_eq!(get(proxy.address, "/", &[]).status, 200));
    assert_eq!((origin.hits(), origin.connections()), (10, 1));
}
