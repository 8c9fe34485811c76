//! Addresses of every family, and sockets of other network namespaces.

use std::net::TcpListener;

use hosp_feed::{Leg, Request};

use crate::dialogue::Dialogue;
use crate::network;
use crate::rig::{Rig, runnable};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One exchange with a listener on `bound`, by its address `address`; the port, and the client's own.
fn exchange(bound: &str, address: &str) -> (u16, u16) {
    let mut talk = Dialogue::on(&TcpListener::bind((bound, 0)).unwrap(), address);
    talk.ask(ASK);
    talk.answer(ANSWER);
    (talk.port, talk.client.local_addr().unwrap().port())
}

/// Who the other end was, on each leg.
fn peers(rig: &Rig, port: u16) -> (String, String) {
    let logged = rig.logged(port, 2);
    assert_eq!(logged.len(), 2, "{logged:?}");
    let of = |leg| logged.iter().find(|r: &&Request| r.leg == leg).unwrap().peer.clone();
    (of(Leg::Server), of(Leg::Client))
}

#[test]
fn every_family_of_addresses_is_seen_and_written_as_people_do() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    for (bound, address, shown) in [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "[::1]"),
        ("::", "127.0.0.1", "127.0.0.1"),
        ("::", "::ffff:127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"),
    ] {
        let (port, from) = exchange(bound, address);
        let want = (format!("{shown}:{from}"), format!("{shown}:{port}"));
        assert_eq!(peers(&rig, port), want, "{address} on {bound}");
    }
    assert_eq!(rig.lost(), 0.0);
}

#[test]
fn sockets_of_another_network_namespace_are_seen() {
    if !runnable(&["ip"]) {
        return;
    }
    let rig = Rig::new();
    let (port, from) = network::of_its_own(|| exchange("127.0.0.1", "127.0.0.1"));
    assert_eq!(peers(&rig, port), (format!("127.0.0.1:{from}"), format!("127.0.0.1:{port}")));
    assert_eq!(rig.lost(), 0.0);
}
