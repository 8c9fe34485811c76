//! What clients and origins may not take.

use crate::support::{Client, Origin, Proxy, Reply, Settings, exchange, ok, raw};

fn with(file: &str, origin: &Origin) -> Proxy {
    Proxy::start(&[&origin.url()], Settings { file, ..Settings::default() })
}

#[test]
fn a_head_that_never_ends_costs_its_connection() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let proxy = with("[limits]\nclient_idle = '100ms'", &origin);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    let ended = client.answer_to("GET").is_err() || client.is_closed();
    assert!(ended);
}

#[test]
fn an_idle_client_is_let_go_but_an_active_one_is_not() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let proxy = with("[limits]\nclient_idle = '300ms'", &origin);
    let mut client = Client::connect(proxy.address);
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(700) {
        assert_eq!(client.send(raw("GET", "/", &[], "")).answer().status, 200);
    }
    assert!(client.is_closed());
}

#[test]
fn heads_beyond_the_limit_are_refused() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let proxy = with("[limits]\nhead = '8KiB'", &origin);
    let large = format!("X-Large: {}", "x".repeat(9000));
    assert_eq!(exchange(proxy.address, raw("GET", "/", &[&large], "")).status, 431);
    assert_eq!(origin.hits(), 0);
}

#[test]
fn an_answers_head_beyond_the_limit_is_not_passed_on() {
    let origin = Origin::new(|_| {
        Reply::SendAndClose(format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\n\r\n", "x".repeat(9000)).into_bytes())
    });
    let proxy = with("[retry]\ntries = 1\n[limits]\nhead = '8KiB'", &origin);
    assert_eq!(exchange(proxy.address, raw("GET", "/", &[], "")).status, 502);
}

#[test]
fn a_body_that_stops_halfway_is_cut() {
    let origin = Origin::new(|_| Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()));
    let proxy = with("[limits]\nbody_idle = '100ms'", &origin);
    let mut client = Client::connect(proxy.address);
    client.send(raw("GET", "/", &[], "")).answer_to("GET").unwrap_err();
}
