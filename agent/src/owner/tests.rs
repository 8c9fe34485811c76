//! Records in, snapshots out: every count exact.

use std::collections::BTreeMap;

use hosp_agent_ebpf::{Counter, Leg, Method, Outcome};
use hosp_feed::{Series, Snapshot};

use super::*;
use crate::enrich::{Enricher, Naming};
use crate::series::{Shared, Table};
use crate::testing::{Script, record};

/// An owner with its script, whose turns the test takes itself.
fn owner() -> (Owner<Script>, Script, Handle, Shared) {
    let script = Script::default();
    let naming =
        Naming { services: [(80, "web".to_owned())].into(), routes: Vec::new(), routes_per_service: 10 };
    let enricher = Enricher::start(naming, "/proc".into(), None).unwrap();
    let series = Shared::default();
    let intake = Intake::new(enricher, Table::new(100, series.clone()), None);
    let agent = AgentInfo { host: "h".into(), ..AgentInfo::default() };
    let (_, proxy) = watch::channel(None);
    let (owner, handle) = Owner::new(script.clone(), intake, agent, proxy);
    (owner, script, handle, series)
}

impl Owner<Script> {
    /// Fetches, ends the interval, and gives what readers get.
    fn interval(&mut self) -> Snapshot {
        let now = Instant::now();
        self.fetch(now);
        self.tick(now, INTERVAL);
        self.ticks.borrow().as_ref().unwrap().snapshot()
    }
}

/// An owner that runs on a thread of its own.
struct Running {
    script: Script,
    handle: Handle,
    series: Shared,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

fn running() -> Running {
    let (owner, script, handle, series) = owner();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let thread = Some(thread::spawn(move || owner.run(&flag)));
    Running { script, handle, series, stop, thread }
}

impl Running {
    /// Stops the owner; its last snapshot.
    fn stop(&mut self) -> Snapshot {
        self.stop.store(true, Relaxed);
        self.thread.take().unwrap().join().unwrap().unwrap();
        self.handle.ticks().borrow().as_ref().unwrap().snapshot()
    }
}

fn totals(snapshot: &Snapshot) -> BTreeMap<(String, u16), u64> {
    let mut totals = BTreeMap::new();
    for Series { key, total, .. } in &snapshot.series {
        *totals.entry((key.method.clone(), key.status)).or_default() += total;
    }
    totals
}

#[test]
fn every_record_is_counted_once_by_method_status_and_outcome() {
    let mut running = running();
    for i in 0..5000 {
        let status = if i % 20 == 0 { 503 } else { 200 };
        running.script.push(&record().status(status).path(&format!("/patients/{i}")).build());
    }
    for _ in 0..7 {
        running.script.push(&record().method(Method::Post).ended(Outcome::ServerReset).build());
    }
    let last = running.stop();
    let want = [(("GET".into(), 200), 4750), (("GET".into(), 503), 250), (("POST".into(), 0), 7)];
    assert_eq!(totals(&last), BTreeMap::from(want));
    assert_eq!(last.series.len(), 3, "all paths are of one route");
    assert!(last.books.balanced());
    assert_eq!((last.books.seen, last.books.recorded), (5007, 5007));
    assert!(running.handle.status().audit.balanced);
}

#[test]
fn intervals_partition_the_total() {
    let (mut owner, script, ..) = owner();
    for round in 1..=3 {
        for _ in 0..10 * round {
            script.push(&record().duration(Duration::from_millis(20 * round)).build());
        }
        let snapshot = owner.interval();
        assert_eq!(snapshot.seq, round);
        let [series] = &snapshot.series[..] else { panic!("one series") };
        assert_eq!((series.count, series.total), (10 * round, 5 * round * (round + 1)));
        let latency = series.latency.as_ref().unwrap().decode().unwrap();
        assert_eq!(latency.count(), series.count);
        let median = latency.quantile(0.5);
        assert!(median.abs_diff(20_000 * round) <= 20 * round, "3 significant digits: {median} µs");
    }
    let quiet = owner.interval();
    assert_eq!((quiet.series[0].count, &quiet.series[0].latency), (0, &None));
    assert_eq!(quiet.series[0].total, 60);
}

#[test]
fn the_newest_requests_ride_along_and_the_sampling_is_stated() {
    let (mut owner, script, ..) = owner();
    for _ in 0..100 {
        script.push(&record().build());
    }
    let snapshot = owner.interval();
    assert_eq!((snapshot.requests.len(), snapshot.requests_of), (64, 100));
    assert_eq!(owner.interval().requests_of, 0);
}

#[test]
fn bad_records_are_counted_and_do_not_stop_the_rest() {
    let mut running = running();
    running.script.push_bytes(vec![0; 3]);
    running.script.push(&record().build());
    // What the kernel counted as recorded arrived, understood or not.
    running.script.count(Counter::Seen, Leg::Server, 1);
    running.script.count(Counter::Ended2xx, Leg::Server, 1);
    assert_eq!(running.stop().series[0].total, 1);
    assert_eq!(running.handle.status().losses.bad_records, 1);
}

#[test]
fn losses_in_the_kernel_reach_the_books() {
    let mut running = running();
    running.script.count(Counter::Seen, Leg::Client, 5);
    running.script.count(Counter::LostRing, Leg::Client, 3);
    let books = running.stop().books;
    assert_eq!((books.seen, books.lost["ring"], books.open), (5, 3, 2));
}

#[test]
fn a_refresh_shows_what_has_just_happened() {
    let mut running = running();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // A configured port, and one whose service has to be looked up.
    running.script.push(&record().build());
    running.script.push(&record().listener(1).build());
    assert!(runtime.block_on(running.handle.refresh()));
    assert_eq!(running.handle.status().audit.books.recorded, 2);
    let counted: u64 = running.series.read().iter().map(|cells| cells.read().total()).sum();
    assert_eq!(counted, 2);
    running.stop();
    assert!(!runtime.block_on(running.handle.refresh()), "an owner that has ended answers nobody");
}

#[test]
fn the_feed_ends_when_the_owner_does() {
    let mut running = running();
    running.stop();
    let mut ticks = running.handle.ticks();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    ticks.mark_unchanged();
    assert!(runtime.block_on(ticks.changed()).is_err());
}
