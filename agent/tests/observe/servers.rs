//! HAProxy in front of nginx: three pairs of sockets, each counted as the servers' own logs have it.

use std::fs;

use xtask::child::Launch;
use xtask::{poll, ports};

use crate::nginx::{self, Nginx};
use crate::rig::{PATIENCE, Rig, client, find, runnable};

#[test]
fn a_proxy_and_its_origin_are_counted_as_each_logs_them() {
    if !runnable(&["nginx", "haproxy", "ab", "h2load", "curl"]) {
        return;
    }
    let rig = Rig::new();
    let dir = rig.dir.path();
    let nginx = Nginx::new(dir);
    let [front] = ports::free().unwrap();
    let (conf, log) = (dir.join("haproxy.cfg"), dir.join("haproxy.log"));
    let text = format!(
        "global
             log stdout format raw local0
         defaults
             mode http
             timeout connect 5s
             timeout client 30s
             timeout server 30s
             log global
             option dontlognull
             log-format \"%HM %ST\"
             http-reuse always
         frontend front
             bind {front}
             http-request deny deny_status 403 if {{ path /forbidden }}
             default_backend origin
         backend origin
             server nginx {}\n",
        nginx.address
    );
    fs::write(&conf, text).unwrap();
    let mut haproxy = Launch::new("haproxy", find("haproxy").unwrap())
        .args(["-db".as_ref(), "-f".as_ref(), conf.as_os_str()])
        .log(&log)
        .spawn()
        .unwrap();
    let up = || std::net::TcpStream::connect(front).ok();
    let started = poll::until("haproxy", PATIENCE, up);
    assert!(started.is_ok(), "{}", haproxy.log_tail(20));

    let url = |path: &str| format!("http://{front}{path}");
    client("ab", &["-q", "-k", "-n", "1000", "-c", "8", &url("/hello")]);
    client("ab", &["-q", "-n", "200", "-c", "4", &url("/sick")]);
    client("ab", &["-q", "-k", "-i", "-n", "100", "-c", "4", &url("/big.bin")]);
    client("h2load", &["--h1", "-n", "1000", "-c", "10", &url("/empty")]);
    client(
        "curl",
        &[
            "-s",
            "-o",
            "/dev/null",
            "--upload-file",
            &dir.join("big.bin").display().to_string(),
            &url("/hello"),
        ],
    );
    for path in ["/forbidden", "/nowhere", "/big.bin", "/hello"] {
        client("curl", &["-s", "-o", "/dev/null", &url(path), &url(path)]);
    }
    haproxy.stop(PATIENCE).unwrap();
    let (origin, proxy) = (nginx.address.port(), front.port());
    let behind = nginx.stop();
    let before = nginx::logged(&log);
    assert_eq!(before.of_status(|status| status == 403), 2, "{before:?}");
    assert_eq!(behind.total(), before.total() - 2);
    for leg in ["server", "client"] {
        rig.expect(leg, proxy, &before);
        rig.expect(leg, origin, &behind);
    }
    assert_eq!(rig.lost(), 0.0);
}

#[test]
fn a_listener_that_defers_accepting_is_counted_from_the_first_request() {
    if !runnable(&["nginx", "ab"]) {
        return;
    }
    let rig = Rig::new();
    for address in ["127.0.0.1", "[::1]"] {
        let [free] = ports::free().unwrap();
        let address = format!("{address}:{}", free.port()).parse().unwrap();
        // The handshake's last packet is dropped by the kernel until data comes, and may carry it.
        let nginx = Nginx::listening(rig.dir.path(), address, "deferred");
        client("ab", &["-q", "-n", "500", "-c", "8", &nginx.url("/hello")]);
        let truth = nginx.stop();
        assert_eq!(truth.total(), 500);
        rig.expect("server", address.port(), &truth);
        rig.expect("client", address.port(), &truth);
    }
    assert_eq!(rig.lost(), 0.0);
}

#[test]
fn a_first_request_too_long_to_be_kept_while_accepting_is_deferred_is_a_lost_place_and_the_next_one_counts() {
    if !runnable(&["nginx", "curl"]) {
        return;
    }
    let rig = Rig::new();
    let [free] = ports::free().unwrap();
    let nginx = Nginx::listening(rig.dir.path(), free, "deferred");
    let cookie = format!("Cookie: {}", "x".repeat(3_000));
    let (first, next) = (nginx.url("/hello"), nginx.url("/nowhere"));
    client("curl", &["-s", "-H", &cookie, "-o", "/dev/null", &first, "-o", "/dev/null", &next]);
    let truth = nginx.stop();
    assert_eq!(truth.total(), 2);
    rig.expect("client", free.port(), &truth);
    let seen = rig.requests("server", free.port());
    assert_eq!((seen.total(), seen.of_status(|status| status == 404)), (1, 1), "{seen:?}");
    assert_eq!(rig.scrape().sum("hosp_agent_resyncs_total", &[]), 1.0);
}
