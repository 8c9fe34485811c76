//! Packets that are really lost, and so arrive late and out of order: every request still counts once, with its bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use xtask::counts::Counts;
use xtask::poll;

use crate::network;
use crate::nginx::Nginx;
use crate::rig::{PATIENCE, Rig, client, find, runnable};

/// From now on a tenth of all data packets to or from `port` are dropped before TCP sees them.
fn lose(port: u16) {
    let rules = format!(
        "table inet hosp_test {{
            chain arriving {{
                type filter hook input priority 0;
                tcp sport {port} meta length > 60 numgen random mod 10 0 counter drop
                tcp dport {port} meta length > 60 numgen random mod 10 0 counter drop
            }}
        }}"
    );
    client("nft", &[&rules]);
}

/// Packets dropped so far.
fn dropped() -> u64 {
    let listed =
        Command::new(find("nft").unwrap()).args(["list", "table", "inet", "hosp_test"]).output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == "packets").map(|pair| pair[1].parse::<u64>().unwrap()).sum()
}

/// Sends `requests` at once and reads their answers, `rounds` times on one connection.
fn pipeline(address: SocketAddr, rounds: usize, requests: usize, body: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = "b".repeat(body);
    let one = format!("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for _ in 0..rounds {
        stream.write_all(one.repeat(requests).as_bytes()).unwrap();
        let mut answers = Vec::new();
        let mut piece = [0; 4096];
        while answers.windows(11).filter(|w| w == b"hello world").count() < requests {
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "the server closed");
            answers.extend_from_slice(&piece[..n]);
        }
    }
}

/// Has `traffic` flow to an nginx over lossy loopback: what nginx logged, and its port.
fn over_lossy_loopback(dir: &Path, traffic: impl FnOnce(&Nginx) + Send) -> (Counts, u16) {
    network::of_its_own(|| {
        let nginx = Nginx::new(dir);
        let port = nginx.address.port();
        lose(port);
        traffic(&nginx);
        let dropped = dropped();
        assert!(dropped > 20, "only {dropped} packets were lost");
        (nginx.stop(), port)
    })
}

#[test]
fn a_tenth_of_all_data_packets_lost_loses_no_request() {
    if !runnable(&["nginx", "ab", "nft", "ip"]) {
        return;
    }
    let rig = Rig::new();
    std::fs::write(rig.dir.path().join("page.bin"), vec![b'p'; 5_000]).unwrap();
    let (truth, port) = over_lossy_loopback(rig.dir.path(), |nginx| {
        let ab = |args: &[&str], path: &str| {
            client("ab", &[&["-q", "-s", "60"], args, &[&nginx.url(path)]].concat());
        };
        thread::scope(|scope| {
            scope.spawn(|| ab(&["-k", "-n", "400", "-c", "40"], "/hello"));
            scope.spawn(|| ab(&["-n", "100", "-c", "20"], "/sick"));
            scope.spawn(|| ab(&["-k", "-n", "100", "-c", "20"], "/page.bin"));
            for _ in 0..8 {
                scope.spawn(|| pipeline(nginx.address, 4, 12, 10));
                scope.spawn(|| pipeline(nginx.address, 6, 1, 5_000));
            }
        });
    });
    assert_eq!(truth.total(), 400 + 100 + 100 + 8 * (4 * 12 + 6));
    rig.expect("server", port, &truth);
    rig.expect("client", port, &truth);
    assert_eq!(rig.lost(), 0.0);
    let scrape = rig.scrape();
    assert_eq!(scrape.sum("hosp_agent_resyncs_total", &[]), 0.0);
    assert_eq!(scrape.sum("hosp_agent_books_balanced", &[]), 1.0);
}

#[test]
fn what_can_no_longer_be_put_in_order_is_lost_and_counted() {
    if !runnable(&["nginx", "nft", "ip"]) {
        return;
    }
    let rig = Rig::new();
    // More than can wait for what is missing before it: 40 segments at once, with eight heads among them.
    let (truth, port) = over_lossy_loopback(rig.dir.path(), |nginx| {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| pipeline(nginx.address, 5, 8, 5_000));
            }
        });
    });
    let none_open = || (rig.scrape().sum("hosp_agent_requests_open", &[]) == 0.0).then_some(());
    poll::until("every request to be accounted for", PATIENCE, none_open).unwrap();
    for leg in ["server", "client"] {
        let recorded = rig.requests(leg, port).total();
        assert!(recorded <= truth.total(), "{leg}: {recorded} of {}", truth.total());
    }
    let scrape = rig.scrape();
    let sum = |name: &str| scrape.sum(name, &[]);
    assert!(sum("hosp_agent_resyncs_total") > 0.0, "everything could be put in order");
    let accounted = sum("hosp_agent_requests_recorded_total") + sum("hosp_agent_requests_lost_total");
    assert_eq!(sum("hosp_agent_requests_seen_total"), accounted);
    assert_eq!(sum("hosp_agent_books_balanced"), 1.0);
}
