//! The table keeps every count, however many kinds of requests arrive.

use hosp_agent_ebpf::{Leg, Method, Outcome};
use proptest::prelude::*;

use super::*;
use crate::names::Names;

fn labels(key: &Key) -> Labels {
    Labels {
        leg: key.leg,
        service: "s".into(),
        address: "".into(),
        port: key.port,
        route: "/".into(),
        method: key.method,
        status: key.status,
        outcome: key.outcome,
    }
}

fn key(names: &mut Names<Arc<str>>, route: u32, port: u16, status: u16) -> Key {
    Key {
        service: names.intern("s"),
        address: None,
        route: names.intern(&format!("/{route}")),
        port,
        status,
        leg: Leg::Server,
        method: Method::Get,
        outcome: Outcome::Answered,
    }
}

#[test]
fn a_full_table_gives_up_routes_before_anything_else() {
    let mut names = Names::new(1000);
    let shared = Shared::default();
    let mut table = Table::new(8, shared.clone());
    for route in 0..100 {
        table.observe(key(&mut names, route, 80, 200), Sample::default(), labels);
    }
    // 8 - 8/4 exact ones, and one for all other routes.
    let series = shared.read();
    assert_eq!(series.len(), 7);
    assert_eq!(series.last().unwrap().read().total(), 94);
    assert_eq!(table.folded(), 94);
}

proptest! {
    #[test]
    fn no_request_is_lost_and_the_table_stays_bounded(
        requests in proptest::collection::vec((0u32..200, 0u16..50, 0u16..1000), 0..600),
    ) {
        let mut names = Names::new(1000);
        let shared = Shared::default();
        let mut table = Table::new(16, shared.clone());
        for &(route, port, status) in &requests {
            table.observe(key(&mut names, route, port, status), Sample::default(), labels);
        }
        let series = shared.read();
        let total: u64 = series.iter().map(|cells| cells.read().total()).sum();
        prop_assert_eq!(total, requests.len() as u64);
        // One leg, one method and one outcome: ten classes of statuses at most.
        prop_assert!(series.len() <= 16 + 10);
        let in_interval: u64 = table.take_interval().iter().map(|(_, interval)| interval.count()).sum();
        prop_assert_eq!(in_interval, requests.len() as u64);
    }
}
