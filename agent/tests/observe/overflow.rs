//! A ring that is too small, and an agent that does not read: what is lost is counted, and the rest is exact.

use rustix::process::{Pid, Signal, kill_process};
use xtask::poll;

use crate::nginx::Nginx;
use crate::rig::{PATIENCE, Rig, client, runnable};

const HELLO: u64 = 3_000;
const SICK: u64 = 1_000;

#[test]
fn a_full_ring_loses_records_and_never_the_count_of_them() {
    if !runnable(&["nginx", "ab"]) {
        return;
    }
    let rig = Rig::with("[limits]\nring_bytes = 65536");
    let nginx = Nginx::new(rig.dir.path());
    let port = nginx.address.port();
    let agent = Pid::from_raw(rig.agent.pid().cast_signed()).unwrap();
    kill_process(agent, Signal::STOP).unwrap();
    client("ab", &["-q", "-k", "-n", &HELLO.to_string(), "-c", "4", &nginx.url("/hello")]);
    client("ab", &["-q", "-k", "-n", &SICK.to_string(), "-c", "4", &nginx.url("/sick")]);
    kill_process(agent, Signal::CONT).unwrap();
    let truth = nginx.stop();
    assert_eq!(truth.total(), HELLO + SICK);

    let sum = |name: &str, labels: &[(&str, &str)]| rig.scrape().sum(name, labels) as u64;
    let all_in = || (sum("hosp_agent_requests_open", &[]) == 0).then_some(());
    poll::until("every answer to be accounted for", PATIENCE, all_in).unwrap();
    let lost = sum("hosp_agent_requests_lost_total", &[("stage", "ring")]);
    assert!(lost > 0, "the ring did not overflow");
    for leg in ["server", "client"] {
        assert_eq!(sum("hosp_agent_requests_seen_total", &[("leg", leg)]), HELLO + SICK);
        // Lost or not, each has counted under its status.
        for (class, n) in [("2xx", HELLO), ("5xx", SICK), ("4xx", 0), ("none", 0)] {
            let ended = sum("hosp_agent_requests_ended_total", &[("leg", leg), ("class", class)]);
            assert_eq!(ended, n, "{leg} {class}");
        }
    }
    let recorded = sum("hosp_agent_requests_recorded_total", &[]);
    assert_eq!(recorded + lost, 2 * (HELLO + SICK));
    // What was recorded has arrived, every one of it.
    let counted = ["server", "client"].map(|leg| rig.requests(leg, port).total());
    assert_eq!(counted.iter().sum::<u64>(), recorded);
    assert_eq!(sum("hosp_agent_books_balanced", &[]), 1);
}
