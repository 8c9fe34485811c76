//! Going down without dropping anything.

use std::net::TcpStream;
use std::sync::mpsc::channel;

use hosp_proxy::worker::Drained;

use crate::support::{Client, Origin, Proxy, Reply, Settings, eventually, ok, raw};

#[test]
fn what_is_under_way_is_finished_and_nothing_new_is_taken() {
    let (release, gate) = channel();
    let gate = std::sync::Mutex::new(Some(gate));
    let origin = Origin::new(move |_| match gate.lock().unwrap().take() {
        Some(gate) => Reply::Wait(gate, ok("slow but whole")),
        None => Reply::Send(ok("fine")),
    });
    let proxy = Proxy::start(&[&origin.url()], Settings::default());
    let mut busy = Client::connect(proxy.address);
    busy.send(raw("GET", "/", &[], ""));
    eventually("the request is at the origin", || origin.hits() == 1);
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.send(raw("GET", "/", &[], "")).answer().status, 200);

    proxy.drainer.drain();
    assert_eq!(proxy.admin("/readyz").status, 503);
    assert_eq!(proxy.admin("/healthz").status, 200);
    assert!(idle.is_closed());
    eventually("new connections are refused", || TcpStream::connect(proxy.address).is_err());

    release.send(()).unwrap();
    let answer = busy.answer();
    assert_eq!((answer.status, answer.text().as_str()), (200, "slow but whole"));
    assert_eq!(answer.field("connection"), "close");
    assert!(busy.is_closed());
    assert_eq!(proxy.finish(), Drained::Clean);
}

#[test]
fn what_takes_too_long_is_cut() {
    let (_hold, never) = channel();
    let never = std::sync::Mutex::new(Some(never));
    let origin = Origin::new(move |_| Reply::Wait(never.lock().unwrap().take().unwrap(), vec![]));
    let proxy = Proxy::start(&[&origin.url()], Settings { file: "drain = '50ms'", ..Settings::default() });
    let mut client = Client::connect(proxy.address);
    client.send(raw("GET", "/", &[], ""));
    eventually("the request is at the origin", || origin.hits() == 1);
    assert_eq!(proxy.finish(), Drained::Cut);
}

#[test]
fn a_request_that_was_on_its_way_when_the_drain_began_is_answered() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let proxy = Proxy::start(&[&origin.url()], Settings::default());
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.send(raw("GET", "/", &[], "")).answer().field("connection"), "");
    let mut fresh = Client::connect(proxy.address);

    proxy.drainer.drain();
    eventually("new connections are refused", || TcpStream::connect(proxy.address).is_err());
    for client in [&mut idle, &mut fresh] {
        let answer = client.send(raw("GET", "/", &[], "")).answer();
        assert_eq!((answer.status, answer.field("connection").as_str()), (200, "close"));
        assert!(client.is_closed());
    }
    assert_eq!(proxy.finish(), Drained::Clean);
}
