//! Gives a record its names: which service, which address, which route. Nothing on the way of a record waits for I/O.

mod cgroups;
mod clients;
mod listeners;
mod process;
mod scan;
mod scanner;
mod table;
mod units;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hosp_agent_ebpf::{Leg, Record};
use hosp_feed::ServiceInfo;

use self::clients::Clients;
use self::listeners::Listeners;
use self::scanner::{Answer, Scanner};
use self::units::Units;
use crate::live::Words;
use crate::names::{NameId, Names};
use crate::routes::{Configured, Routes};
use crate::series::{Key, Labels};

/// Most services told apart; the rest is `_other`.
const MAX_SERVICES: usize = 64;

/// Most addresses told apart on the client leg; the rest is `_other`.
const MAX_ADDRESSES: usize = 256;

/// How long the first scan may hold up the first records. The kernel's ring keeps them meanwhile.
const FIRST_SCAN: Duration = Duration::from_millis(200);

/// What the operator said about names.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// Names of ports.
    pub services: BTreeMap<u16, String>,
    /// Routes.
    pub routes: Vec<Configured>,
    /// Most learnt routes of one service.
    pub routes_per_service: usize,
}

/// Requests that were counted under `_other`, by what was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// More services than are told apart.
    pub services: u64,
    /// More addresses than are told apart.
    pub addresses: u64,
    /// More routes than a service may have.
    pub routes: u64,
}

/// Gives out names. Belongs to the owner.
pub struct Enricher {
    services: Names<Arc<str>>,
    addresses: Names<[u8; 16]>,
    routes: Routes,
    listeners: Listeners,
    clients: Clients,
    units: Units,
    scanner: Scanner,
    overflow: Overflow,
}

impl Enricher {
    /// Starts the thread that looks up processes in the file system mounted at `proc`, and their units in that of the
    /// cgroups.
    pub fn start(naming: Naming, proc: PathBuf, cgroups: Option<PathBuf>) -> io::Result<Self> {
        let scanner = Scanner::spawn(proc.clone(), cgroups)?;
        Ok(Self::with(naming, proc, scanner))
    }

    fn with(naming: Naming, proc: PathBuf, scanner: Scanner) -> Self {
        let mut services = Names::new(MAX_SERVICES);
        let listeners =
            Listeners::new(naming.services.iter().map(|(port, name)| (*port, services.intern(name))));
        Self {
            services,
            addresses: Names::new(MAX_ADDRESSES),
            routes: Routes::new(naming.routes, naming.routes_per_service),
            listeners,
            clients: Clients::new(proc),
            units: Units::default(),
            scanner,
            overflow: Overflow::default(),
        }
    }

    /// Waits for the first scan, for a moment at most: it knows all who listen already.
    pub fn settle(&mut self) {
        if let Some(answer) = self.scanner.wait(FIRST_SCAN) {
            self.learn(answer, Instant::now());
        }
    }

    /// The key of `record`; `None` while the name of its service is being looked up.
    pub fn key(&mut self, record: &Record, now: Instant) -> Option<Key> {
        let (service, address) = match record.leg() {
            Leg::Server => {
                let port = record.local_port;
                (self.listeners.name(port, now, &mut self.services, &mut self.scanner)?, None)
            }
            Leg::Client => {
                let address = self.addresses.id(&record.remote_addr, |addr| (*addr, address_text(addr)));
                (self.clients.name(record, now, &mut self.services), Some(address))
            }
        };
        self.units.note(record, service, &mut self.scanner);
        self.overflow.services += u64::from(service == NameId::OTHER);
        self.overflow.addresses += u64::from(address == Some(NameId::OTHER));
        let route = self.routes.route(service, self.services.text(service), record);
        Some(Key::new(record, service, address, route))
    }

    /// Takes in what scans have found. Returns whether keys that were held back may be had now.
    pub fn poll(&mut self, now: Instant) -> bool {
        let waiting = self.listeners.waiting();
        while let Some(answer) = self.scanner.answer() {
            self.learn(answer, now);
        }
        self.listeners.give_up(Some(now), &mut self.services);
        self.listeners.refresh(now, &mut self.scanner);
        self.listeners.waiting() < waiting
    }

    /// Names every port that is still being looked up by its number.
    pub fn give_up(&mut self) {
        self.listeners.give_up(None, &mut self.services);
    }

    fn learn(&mut self, mut answer: Answer, now: Instant) {
        if answer.question == 0 {
            self.clients.learn(std::mem::take(&mut answer.owners.connections));
        }
        self.units.learn(answer.question, std::mem::take(&mut answer.owners.units));
        self.listeners.learn(answer.question, answer.owners, now, &mut self.services);
    }

    /// Puts a key into words.
    pub fn labels(&self, key: &Key) -> Labels {
        Labels {
            leg: key.leg,
            service: self.services.text(key.service).clone(),
            address: key.address.map_or_else(|| "".into(), |address| self.addresses.text(address).clone()),
            port: key.port,
            route: self.routes.text(key.route).clone(),
            method: key.method,
            status: key.status,
            outcome: key.outcome,
        }
    }

    /// The names of one request.
    pub fn words(&self, record: &Record, key: &Key) -> Words {
        Words {
            service: self.services.text(key.service).clone(),
            route: self.routes.text(key.route).clone(),
            unit: self.units.name(record.cgroup),
        }
    }

    /// Every service with the units that it runs in.
    pub fn services(&self) -> Vec<ServiceInfo> {
        self.units.services(|service| self.service(service).to_string())
    }

    /// The name of a service.
    pub fn service(&self, service: NameId) -> &Arc<str> {
        self.services.text(service)
    }

    /// What did not fit so far.
    pub fn overflow(&self) -> Overflow {
        Overflow { routes: self.routes.overflowed(), ..self.overflow }
    }
}

/// An address as people write it; IPv4 in its own form.
pub fn address_text(octets: &[u8; 16]) -> Arc<str> {
    Ipv6Addr::from(*octets).to_canonical().to_string().into()
}

#[cfg(test)]
mod tests;
