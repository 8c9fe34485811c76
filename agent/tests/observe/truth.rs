//! What the agent says of single requests: times, bytes, who and where; and what it leaves out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use hosp_feed::{Leg, Request};
use xtask::counts::Counts;
use xtask::{poll, ports};

use crate::dialogue::{Dialogue, read_head};
use crate::nginx::Nginx;
use crate::rig::{PATIENCE, Rig, client, runnable};

#[test]
fn times_and_bytes_are_those_of_the_exchange() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = "POST /patients/42/notes?secret=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let (head, body) = ("HTTP/1.1 201 Created\r\nContent-Length: 5000\r\n\r\n", "y".repeat(5_000));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        stream.read_exact(&mut [0; 3]).unwrap();
        // The times under test.
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(body.as_bytes()).unwrap();
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    server.join().unwrap();

    let seen = rig.logged(port, 2);
    assert_eq!(seen.len(), 2, "{seen:?}");
    for r in &seen {
        assert_eq!((r.method.as_str(), r.status, r.ordinal), ("POST", 201, 1));
        assert_eq!(r.route, "/patients/{id}/notes");
        assert_eq!((r.request_bytes, r.response_bytes), (request.len() as u64, answer.len() as u64));
        // Never shorter than what was slept; longer by what a busy machine takes to wake a thread up.
        assert!((300_000..500_000).contains(&r.ttfb_us), "{r:?}");
        assert!((500_000..900_000).contains(&r.duration_us), "{r:?}");
    }
    let scrape = rig.scrape();
    for leg in ["server", "client"] {
        let part = |name, part| scrape.sum(name, &[("leg", leg), ("part", part)]) as usize;
        assert_eq!(part("hosp_agent_request_bytes_total", "body"), 3);
        assert_eq!(part("hosp_agent_request_bytes_total", "head"), request.len() - 3);
        assert_eq!(part("hosp_agent_response_bytes_total", "body"), 5_000);
        assert_eq!(part("hosp_agent_response_bytes_total", "head"), answer.len() - 5_000);
    }
    assert!(seen.iter().any(|r| r.leg == Leg::Server) && seen.iter().any(|r| r.leg == Leg::Client));
}

#[test]
fn latencies_lie_between_what_the_server_and_the_client_measured() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::new();
    let mut talk = Dialogue::new();
    let mut measured = Vec::new();
    for milliseconds in [0, 1, 5, 20, 100, 400] {
        let asking = Instant::now();
        talk.ask("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
        let asked = Instant::now();
        // The time under test.
        std::thread::sleep(Duration::from_millis(milliseconds));
        let least = asked.elapsed();
        talk.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        measured.push((least, asking.elapsed()));
    }
    let seen = rig.logged(talk.port, 2 * measured.len());
    for leg in [Leg::Server, Leg::Client] {
        let mut requests: Vec<&Request> = seen.iter().filter(|r| r.leg == leg).collect();
        requests.sort_by_key(|r| r.ordinal);
        for (r, (least, most)) in requests.iter().zip(&measured) {
            let between = least.as_micros()..=most.as_micros();
            assert!(between.contains(&r.ttfb_us.into()), "{r:?}: {between:?}");
            assert!(between.contains(&r.duration_us.into()), "{r:?}: {between:?}");
        }
    }
}

#[test]
fn how_long_a_request_lay_unread_is_told_where_the_kernel_can() {
    if !runnable(&[]) {
        return;
    }
    let rig = Rig::with("unread = true");
    if rig.agent.log_tail(20).contains("cannot be told on this kernel") {
        eprintln!("skipped: the kernel is older than 6.3");
        return;
    }
    let mut talk = Dialogue::new();
    let asking = Instant::now();
    talk.client.write_all(b"GET /queued HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let asked = Instant::now();
    // The time under test: the server is busy with something else.
    std::thread::sleep(Duration::from_millis(100));
    let least = asked.elapsed();
    read_head(&mut talk.server);
    let most = asking.elapsed();
    talk.answer("HTTP/1.1 204 No Content\r\n\r\n");
    let between = least.as_micros()..=most.as_micros();
    for request in rig.logged(talk.port, 2) {
        match request.leg {
            Leg::Server => assert!(between.contains(&request.unread_us.into()), "{request:?}: {between:?}"),
            Leg::Client => assert_eq!(request.unread_us, 0),
        }
    }
    let scrape = rig.scrape();
    assert_eq!(scrape.sum("hosp_agent_request_unread_seconds_count", &[]), 1.0);
    let sum = scrape.sum("hosp_agent_request_unread_seconds_sum", &[]);
    assert!((least.as_secs_f64()..most.as_secs_f64()).contains(&sum), "{sum}");
}

#[test]
fn only_the_chosen_ports_are_observed() {
    if !runnable(&[]) {
        return;
    }
    let [chosen] = ports::free().unwrap();
    let rig = Rig::with(&format!("ports = [{}]", chosen.port()));
    let listener = TcpListener::bind(chosen).unwrap();
    for mut talk in [Dialogue::new(), Dialogue::on(&listener, "127.0.0.1")] {
        talk.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        talk.answer("HTTP/1.1 204 No Content\r\n\r\n");
    }
    let mut truth = Counts::default();
    truth.add("GET", 204, 1);
    rig.expect("server", chosen.port(), &truth);
    rig.expect("client", chosen.port(), &truth);
    assert_eq!(rig.scrape().sum("hosp_agent_requests_seen_total", &[]), 2.0);
}

#[test]
fn the_service_is_the_process_that_listens_or_connects() {
    if !runnable(&["nginx", "curl"]) {
        return;
    }
    let rig = Rig::new();
    let nginx = Nginx::new(rig.dir.path());
    let port = nginx.address.port().to_string();
    client("curl", &["-s", "-o", "/dev/null", &nginx.url("/hello")]);
    for (leg, service) in [("server", "nginx"), ("client", "curl")] {
        let labels = [("leg", leg), ("service", service), ("server_port", port.as_str())];
        let one = || (rig.scrape().sum("hosp_agent_requests_total", &labels) == 1.0).then_some(());
        let got = poll::until(service, PATIENCE, one);
        assert!(got.is_ok(), "{leg}: {}", rig.metrics.get_text("/metrics").unwrap());
    }
    // No unit of systemd and no container: the path of the cgroup that both run in.
    let home = format!("/{}", rig.home.cgroup.path().file_name().unwrap().to_str().unwrap());
    for request in rig.logged(nginx.address.port(), 2) {
        assert_eq!(request.unit, home, "{request:?}");
    }
}

#[test]
fn the_agents_own_sockets_are_left_out() {
    if !runnable(&["nginx", "curl"]) {
        return;
    }
    let [own] = ports::free().unwrap();
    let rig = Rig::serving(Some(own), "");
    for _ in 0..20 {
        rig.scrape();
    }
    // Something else afterwards: once it shows, so would the scrapes before it.
    let nginx = Nginx::new(rig.dir.path());
    client("curl", &["-s", "-o", "/dev/null", &nginx.url("/hello")]);
    let mut truth = Counts::default();
    truth.add("GET", 200, 1);
    rig.expect("server", nginx.address.port(), &truth);
    assert_eq!(rig.requests("server", own.port()).total(), 0);
}

#[test]
fn the_agent_keeps_no_privilege_that_it_does_not_need_and_leaves_nothing_behind() {
    if !runnable(&["bpftool"]) {
        return;
    }
    let mut rig = Rig::new();
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.agent.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
    };
    let (dac_read_search, sys_ptrace) = (1 << 2, 1 << 19);
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(field(set) & !(dac_read_search | sys_ptrace), 0, "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), 1);

    // By what they have in common: another agent may run on this host.
    let programs = || -> Vec<u64> {
        let listed =
            Command::new(crate::rig::find("bpftool").unwrap()).args(["-j", "prog"]).output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let ours = |p: &&serde_json::Value| p["name"].as_str().is_some_and(|name| name.starts_with("hosp_"));
        listed.as_array().unwrap().iter().filter(ours).filter_map(|p| p["btf_id"].as_u64()).collect()
    };
    let loaded = programs();
    let own = *loaded.iter().max().expect("the newest programs are this agent's");
    assert_eq!(loaded.iter().filter(|&&btf| btf == own).count(), 5, "{loaded:?} while the agent runs");
    rig.stop();
    assert!(!rig.feed.exists(), "the feed's socket was left behind");
    // The kernel frees them a moment after the last one who used them has gone.
    let gone = || !programs().contains(&own);
    poll::until("the programs to go", PATIENCE, || gone().then_some(())).unwrap();
}
