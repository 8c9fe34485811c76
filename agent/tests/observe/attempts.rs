//! Attempts per request by request: a proxy that asks its origin as often as it is told to, between curl and nginx.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use xtask::poll;

use crate::dialogue::read_head;
use crate::nginx::Nginx;
use crate::rig::{PATIENCE, Rig, client, runnable};

#[test]
fn attempts_are_counted_for_each_request_that_carries_an_id() {
    if !runnable(&["nginx", "curl"]) {
        return;
    }
    let rig = Rig::new();
    let nginx = Nginx::new(rig.dir.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    for (header, attempts) in [
        ("X-Request-Id: one", 1),
        ("x-request-id: two-0000000000-0000000000-0000000000-0000000000", 2),
        ("X-REQUEST-ID:none", 0),
        ("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 3),
        ("X-Request-Id: nine", 9),
        ("X-Nothing: at all", 1),
    ] {
        std::thread::scope(|scope| {
            scope.spawn(|| client("curl", &["-s", "-o", "/dev/null", "-H", header, &url]));
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut stream);
            for _ in 0..attempts {
                let mut origin = TcpStream::connect(nginx.address).unwrap();
                let ask = format!("GET /hello HTTP/1.1\r\nHost: h\r\n{header}\r\nConnection: close\r\n\r\n");
                origin.write_all(ask.as_bytes()).unwrap();
                origin.read_to_end(&mut Vec::new()).unwrap();
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
    }
    let count = || rig.scrape().sum("hosp_agent_attempts_per_request_count", &[]);
    poll::until("five requests with an id", PATIENCE, || (count() == 5.0).then_some(())).unwrap();
    let scrape = rig.scrape();
    let up_to = |le| scrape.sum("hosp_agent_attempts_per_request_bucket", &[("le", le)]);
    assert_eq!(["0", "1", "2", "3", "5", "+Inf"].map(up_to), [1.0, 2.0, 3.0, 4.0, 4.0, 5.0]);
    assert_eq!(scrape.sum("hosp_agent_attempts_per_request_sum", &[]), 15.0);
    assert_eq!(scrape.sum("hosp_agent_attempts_unlinked_total", &[("reason", "no_id")]), 1.0);
}
