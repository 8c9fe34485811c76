//! Full speed: the agent's counts are nginx's access log, line for line, and nothing is lost.

use rustix::process::{Resource, Rlimit};

use crate::nginx::Nginx;
use crate::rig::{Rig, client, runnable};

/// Seconds of load; the run takes `HOSP_TEST_LOAD_SECONDS=60`.
fn seconds() -> String {
    std::env::var("HOSP_TEST_LOAD_SECONDS").unwrap_or_else(|_| "4".to_owned())
}

#[test]
fn wrk_at_full_speed_against_nginx_is_counted_line_for_line() {
    if !runnable(&["nginx", "wrk"]) {
        return;
    }
    let rig = Rig::new();
    let nginx = Nginx::new(rig.dir.path());
    let port = nginx.address.port();
    client("wrk", &["-t1", "-c64", "-d1", &nginx.url("/hello")]);
    let warm = resident_mib(&rig);
    client("wrk", &["-t1", "-c64", &format!("-d{}", seconds()), &nginx.url("/hello")]);
    let now = resident_mib(&rig);
    assert!(now < warm + 4.0, "{warm} MiB after a second, {now} MiB at the end");
    let truth = nginx.stop();
    assert!(truth.total() > 1_000, "{truth:?}");
    rig.expect("server", port, &truth);
    rig.expect("client", port, &truth);
    assert_eq!(rig.lost(), 0.0);
}

/// Resident memory of the agent, in MiB.
fn resident_mib(rig: &Rig) -> f64 {
    rig.scrape().sum("process_resident_memory_bytes", &[]) / f64::from(1 << 20)
}

#[test]
fn two_thousand_connections_at_once_lose_nothing_and_memory_stays_flat() {
    if !runnable(&["nginx", "h2load"]) {
        return;
    }
    // Inherited by nginx and by its clients: two sockets a connection.
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let rig = Rig::new();
    let nginx = Nginx::new(rig.dir.path());
    let port = nginx.address.port();
    let run = || client("h2load", &["--h1", "-n", "20000", "-c", "2000", "-t", "1", &nginx.url("/hello")]);
    run();
    let warm = resident_mib(&rig);
    run();
    run();
    let truth = nginx.stop();
    assert_eq!(truth.total(), 60_000);
    rig.expect("server", port, &truth);
    rig.expect("client", port, &truth);
    assert_eq!(rig.lost(), 0.0);
    let now = resident_mib(&rig);
    assert!(now < warm + 4.0, "{warm} MiB after the first run, {now} MiB after the third");
}

#[test]
fn methods_statuses_and_large_files_are_counted_as_nginx_logs_them() {
    if !runnable(&["nginx", "ab", "curl", "h2load"]) {
        return;
    }
    let rig = Rig::new();
    let nginx = Nginx::new(rig.dir.path());
    let port = nginx.address.port();
    client("ab", &["-q", "-k", "-n", "2000", "-c", "8", &nginx.url("/hello?query=1")]);
    client("ab", &["-q", "-n", "200", "-c", "4", &nginx.url("/sick")]);
    client("ab", &["-q", "-i", "-n", "50", "-c", "2", &nginx.url("/big.bin")]);
    client("h2load", &["--h1", "-n", "1000", "-c", "10", "-m", "8", &nginx.url("/empty")]);
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        client("curl", &["-s", "-o", "/dev/null", "-X", method, "-d", "a=b", &nginx.url("/hello")]);
    }
    for _ in 0..5 {
        client("curl", &["-s", "-o", "/dev/null", &nginx.url("/big.bin"), &nginx.url("/nowhere")]);
    }
    let truth = nginx.stop();
    rig.expect("server", port, &truth);
    rig.expect("client", port, &truth);
    assert_eq!(rig.lost(), 0.0);
    assert_eq!(rig.scrape().sum("hosp_agent_books_balanced", &[]), 1.0);
}
