//! Each of the three killed (SIGKILL) and started again under load, in every order: the others go on, and all is
//! well again afterwards.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use hosp_feed::{Leg, Snapshot};
use xtask::load::Failure;
use xtask::origin::OriginReport;
use xtask::poll;
use xtask::stack::{Role, Settings, Stack};

use crate::metered;
use crate::rig::{PATIENCE, stack};
use crate::watched::View;

/// Low enough for all counts of one test to be shown in full on the screen.
const RATE: f64 = 50.0;
/// So many more requests, and they flow.
const SOME: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Proxy,
    Agent,
    Tui,
}

use Part::{Agent, Proxy, Tui};

const ORDERS: [[Part; 3]; 6] = [
    [Proxy, Agent, Tui],
    [Proxy, Tui, Agent],
    [Agent, Proxy, Tui],
    [Agent, Tui, Proxy],
    [Tui, Proxy, Agent],
    [Tui, Agent, Proxy],
];

#[test]
fn killed_one_after_the_other_in_any_order_the_others_go_on() {
    let Some(mut scene) = Scene::new("one-by-one") else { return };
    for part in ORDERS.into_iter().flatten() {
        scene.kill(part);
        scene.the_others_work();
        scene.start(part);
        scene.the_others_work();
    }
    scene.ends_well();
}

#[test]
fn killed_all_at_once_they_come_back_in_any_order() {
    let Some(mut scene) = Scene::new("all-at-once") else { return };
    for order in ORDERS {
        order.iter().rev().for_each(|&part| scene.kill(part));
        for part in order {
            scene.start(part);
            scene.the_others_work();
        }
    }
    scene.ends_well();
}

/// The stack under load, without any fault but those made here, and somebody who watches.
struct Scene {
    stack: Stack,
    view: View,
    down: BTreeSet<Part>,
    /// When the proxy was killed, and when it was ready again, in milliseconds since 1970.
    outages: Vec<(u64, u64)>,
}

impl Scene {
    fn new(name: &str) -> Option<Self> {
        let settings = Settings { rate: RATE, faults: false, ..Settings::default() };
        let mut stack = stack(name, settings, &["tmux"])?;
        let view = View::open(&stack, 80, 24);
        stack.start_load(None).unwrap();
        let scene = Self { stack, view, down: BTreeSet::new(), outages: Vec::new() };
        scene.the_others_work();
        Some(scene)
    }

    fn kill(&mut self, part: Part) {
        self.down.insert(part);
        match part {
            Proxy => {
                self.outages.push((now(), u64::MAX));
                self.stack.kill(Role::Proxy).unwrap();
            }
            Agent => self.stack.kill(Role::Agent).unwrap(),
            Tui => self.view.kill(),
        }
    }

    fn start(&mut self, part: Part) {
        match part {
            Proxy => {
                self.stack.restart(Role::Proxy).unwrap();
                self.outages.last_mut().unwrap().1 = now();
            }
            Agent => self.stack.restart(Role::Agent).unwrap(),
            Tui => self.view.launch(&self.stack),
        }
        self.down.remove(&part);
    }

    fn works(&self, part: Part) -> bool {
        !self.down.contains(&part)
    }

    /// Every part that is not down does what can be done without those that are.
    fn the_others_work(&self) {
        let mut signs = Vec::new();
        if self.works(Proxy) {
            signs.push(grows("requests that reach the origin", SOME, || Some(self.origin().requests())));
        } else {
            signs.push(grows("requests that fail", SOME, || Some(self.failures().len() as u64)));
        }
        if self.works(Agent) {
            signs.push(grows("snapshots", 1, || self.snapshot().map(|snapshot| snapshot.seq)));
            signs.push(sign("the agent knows whether there is a proxy", || {
                self.snapshot().is_some_and(|snapshot| snapshot.proxy.is_some() == self.works(Proxy))
            }));
        }
        if self.works(Agent) && self.works(Proxy) {
            let counted = || Some(metered::leg(&self.stack, Leg::Server).ended);
            signs.push(grows("requests that the agent counts", SOME, counted));
        }
        if self.works(Tui) {
            let word = if self.works(Agent) { " LIVE " } else { " DISCONNECTED " };
            signs.push(sign(word, move || self.view.pane.screen().contains(word)));
        }
        if self.down.is_empty() {
            let shown = || self.view.figures().map(|figures| figures.ended[0]);
            signs.push(grows("requests on the screen", SOME, shown));
        }
        let seen = poll::until("all signs of life", PATIENCE, || {
            signs.retain_mut(|sign| !(sign.seen)());
            signs.is_empty().then_some(())
        });
        let missing: Vec<&str> = signs.iter().map(|sign| sign.what).collect();
        assert!(seen.is_ok(), "down: {:?}; missing: {missing:?}\n{}", self.down, self.view.pane.screen());
        if self.works(Agent) {
            self.books_balance();
        }
    }

    /// An agent accounts for all that it has seen, whatever was under way when it began.
    fn books_balance(&self) {
        let metrics = metered::agent(&self.stack);
        assert_eq!(metrics.sum("hosp_agent_books_balanced", &[]), 1.0);
        assert_eq!(metrics.sum("hosp_agent_requests_lost_total", &[]), 0.0);
    }

    /// No request failed but through the proxy's absence; and an agent started now counts to the last request.
    fn ends_well(mut self) {
        let report = self.stack.end_load(PATIENCE).unwrap();
        let failures = self.failures();
        assert_eq!(failures.len() as u64, report.sent + report.outcome("unsent") - report.succeeded);
        assert!(!failures.is_empty());
        for failure in failures {
            let excused =
                |&(from, to): &(u64, u64)| failure.began_unix_ms <= to && failure.ended_unix_ms >= from;
            assert!(self.outages.iter().any(excused), "{failure:?}; the proxy was away {:?}", self.outages);
        }
        assert_eq!(self.origin().notes_repeated, 0);

        self.kill(Agent);
        self.start(Agent);
        let before = self.origin().requests();
        self.stack.start_load(Some(1)).unwrap();
        let ended = poll::until("the load ends", PATIENCE, || self.stack.load_report().transpose());
        let sent = ended.unwrap().unwrap().sent;
        let truth = (sent, self.origin().requests() - before);
        let mut seen = (0, 0);
        let agreed = poll::until("the agent has counted everything", PATIENCE, || {
            seen =
                (metered::leg(&self.stack, Leg::Server).ended, metered::leg(&self.stack, Leg::Client).ended);
            (seen == truth).then_some(())
        });
        assert!(agreed.is_ok(), "server and client leg: the agent {seen:?}, the truth {truth:?}");
        self.books_balance();

        self.view.pane.until("the agent", |screen| screen.contains(" LIVE "));
        self.view.pane.keys(&["q"]);
        self.view.pane.is_clean_after_exit(0);
    }

    fn origin(&self) -> OriginReport {
        self.stack.origin_admin().get_json("/__counts").unwrap()
    }

    fn snapshot(&self) -> Option<Snapshot> {
        self.stack.feed().get_json("/v1/snapshot").ok()
    }

    fn failures(&self) -> Vec<Failure> {
        self.stack.failures().unwrap()
    }
}

/// Something that shows that a part does its work.
struct Sign<'a> {
    what: &'a str,
    seen: Box<dyn FnMut() -> bool + 'a>,
}

fn sign<'a>(what: &'a str, seen: impl FnMut() -> bool + 'a) -> Sign<'a> {
    Sign { what, seen: Box::new(seen) }
}

/// A number that gets larger by `more` than it was at first.
fn grows<'a>(what: &'a str, more: u64, number: impl Fn() -> Option<u64> + 'a) -> Sign<'a> {
    let mut first = None;
    sign(what, move || number().is_some_and(|number| number >= *first.get_or_insert(number) + more))
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
