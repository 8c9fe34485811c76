//! Server leg: the name of the service that listens on a port.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::scan::Owners;
use super::scanner::Scanner;
use crate::names::{NameId, Names};

/// How long the records of a new port wait for its name.
const PATIENCE: Duration = Duration::from_millis(500);

/// Age at which what is known about ports is looked up again, if there was traffic since.
const STALE: Duration = Duration::from_secs(5);

/// What is known about a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// The operator named it.
    Configured(NameId),
    /// A scan named it, or it goes by its number because no scan did.
    Found(NameId),
    /// A scan that has not answered yet will tell.
    Asked { question: u64, until: Instant },
}

/// Names of ports. Belongs to the owner.
#[derive(Debug)]
pub(super) struct Listeners {
    ports: HashMap<u16, Port, RandomState>,
    last: HashMap<u16, Arc<str>>,
    scanned: Option<Instant>,
    used: bool,
    waiting: usize,
}

impl Listeners {
    /// Ports with a configured name never change it.
    pub(super) fn new(configured: impl IntoIterator<Item = (u16, NameId)>) -> Self {
        let ports = configured.into_iter().map(|(port, name)| (port, Port::Configured(name))).collect();
        Self { ports, last: HashMap::new(), scanned: None, used: false, waiting: 0 }
    }

    /// The service on `port`; `None` while a scan is being waited for.
    pub(super) fn name(
        &mut self,
        port: u16,
        now: Instant,
        names: &mut Names<Arc<str>>,
        scanner: &mut Scanner,
    ) -> Option<NameId> {
        match self.ports.get(&port) {
            Some(Port::Configured(name)) => return Some(*name),
            Some(Port::Found(name)) => {
                self.used = true;
                return Some(*name);
            }
            Some(Port::Asked { .. }) => return None,
            None => {}
        }
        let fresh = self.scanned.is_some_and(|at| now.duration_since(at) < STALE);
        if let (true, Some(name)) = (fresh, self.last.get(&port)) {
            let name = names.intern(name);
            self.ports.insert(port, Port::Found(name));
            return Some(name);
        }
        let asked = Port::Asked { question: scanner.ask(), until: now + PATIENCE };
        self.ports.insert(port, asked);
        self.waiting += 1;
        None
    }

    /// Takes in what a scan found. A port that nobody listens on any more keeps its name: its service is
    /// probably being restarted, and its last records may still arrive.
    pub(super) fn learn(&mut self, question: u64, owners: Owners, now: Instant, names: &mut Names<Arc<str>>) {
        for (port, state) in &mut self.ports {
            match (*state, owners.listeners.get(port)) {
                (Port::Found(_) | Port::Asked { .. }, Some(name)) => *state = Port::Found(names.intern(name)),
                (Port::Asked { question: asked, .. }, None) if asked <= question => {
                    *state = unnamed(*port, names);
                }
                (Port::Configured(_) | Port::Found(_) | Port::Asked { .. }, _) => {}
            }
        }
        self.last = owners.listeners;
        self.scanned = Some(now);
        self.count_waiting();
    }

    /// Gives up on names that took too long (every unanswered one, when `now` is `None`).
    pub(super) fn give_up(&mut self, now: Option<Instant>, names: &mut Names<Arc<str>>) {
        if self.waiting == 0 {
            return;
        }
        for (port, state) in &mut self.ports {
            if matches!(*state, Port::Asked { until, .. } if now.is_none_or(|now| now >= until)) {
                *state = unnamed(*port, names);
            }
        }
        self.count_waiting();
    }

    /// Asks for a scan when what is known is old and has been used since.
    pub(super) fn refresh(&mut self, now: Instant, scanner: &mut Scanner) {
        let stale = self.scanned.is_none_or(|at| now.duration_since(at) >= STALE);
        if self.used && stale && !scanner.busy() {
            self.used = false;
            scanner.ask();
        }
    }

    /// Ports whose name is being waited for.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    fn count_waiting(&mut self) {
        self.waiting = self.ports.values().filter(|state| matches!(state, Port::Asked { .. })).count();
    }
}

/// A port on which no process is seen to listen goes by its number, unless so many do that they would take the
/// names' places: listeners that come and go within a scan, from ever new ports, must not push out those that stay.
fn unnamed(port: u16, names: &mut Names<Arc<str>>) -> Port {
    let name = format!("port-{port}");
    Port::Found(match names.get(&name) {
        Some(known) => known,
        None if names.half_full() => NameId::OTHER,
        None => names.intern(&name),
    })
}
