//! What the agents have told: the part of the state that a pause freezes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hosp_feed::{Cost, Focus, Leg, Outcome, Series, SeriesKey, focus};

use crate::clean::Label;
use crate::history::{Cell, History};
use crate::legs::Legs;
use crate::reading::{Books, Identity, Reading, Request};

/// What the agents have told.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// One place for each agent, in the order of the command line; empty until it is heard of.
    pub hosts: Vec<Option<Host>>,
    /// The newest requests of all hosts, oldest first, at most [`Self::TAIL`].
    pub tail: VecDeque<Arc<Request>>,
}

/// What one agent has told.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Which agent on which host.
    pub agent: Identity,
    /// The last 15 minutes.
    pub history: History,
    /// Requests since the agent started, by service and leg.
    pub totals: BTreeMap<Label, Legs<u64>>,
    /// The observer's own accounting.
    pub books: Books,
    /// What observing costs.
    pub cost: Cost,
    /// How many requests of the last interval came along, of how many.
    pub sample: (u64, u64),
    /// The agent's wall clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// When it was last heard of, since the start of this program.
    pub heard: Duration,
}

impl Data {
    /// Requests kept for the live tail.
    pub const TAIL: usize = 1000;

    /// Nothing heard of `agents` agents.
    pub fn new(agents: usize) -> Self {
        Self { hosts: vec![None; agents], tail: VecDeque::new() }
    }

    /// Takes in a reading of the agent at `place`; `cell` is what happened since the one before.
    pub fn take(&mut self, place: usize, now: Duration, cell: &Cell, reading: Reading) {
        let Some(host) = self.hosts.get_mut(place) else { return };
        let mut history = host.take().map(|host| host.history).unwrap_or_default();
        history.add(now, cell);
        let mut totals: BTreeMap<Label, Legs<u64>> = BTreeMap::new();
        for row in &reading.rows {
            *totals.entry(row.key.service.clone()).or_default().get_mut(row.key.leg) += row.total;
        }
        let shown = reading.requests.len() as u64;
        *host = Some(Host {
            agent: reading.agent,
            history,
            totals,
            books: reading.books,
            cost: reading.cost,
            sample: (shown, reading.requests_of.max(shown)),
            unix_ms: reading.unix_ms,
            heard: now,
        });
        self.tail.extend(reading.requests.into_iter().map(Arc::new));
        self.tail.drain(..self.tail.len().saturating_sub(Self::TAIL));
    }

    /// The hosts that have been heard of.
    pub fn known(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().flatten()
    }

    /// The names of all services, ascending.
    pub fn services(&self) -> Vec<Label> {
        let names: BTreeSet<&Label> = self.known().flat_map(|host| host.totals.keys()).collect();
        names.into_iter().cloned().collect()
    }

    /// What the view is about when the user asks for nothing: [`hosp_feed::focus`] over all hosts.
    pub fn focus(&self) -> Focus {
        let mut totals: BTreeMap<&Label, Legs<u64>> = BTreeMap::new();
        for (name, legs) in self.known().flat_map(|host| &host.totals) {
            let sum = totals.entry(name).or_default();
            for leg in [Leg::Server, Leg::Client] {
                *sum.get_mut(leg) += legs.get(leg);
            }
        }
        let series = |name: &Label, leg, total| Series {
            key: SeriesKey {
                leg,
                service: name.as_str().to_owned(),
                server_address: String::new(),
                server_port: 0,
                route: String::new(),
                method: String::new(),
                status: 200,
                outcome: Outcome::Answered,
            },
            total,
            count: 0,
            latency: None,
        };
        let series: Vec<Series> = totals
            .iter()
            .flat_map(|(name, legs)| {
                [series(name, Leg::Server, legs.server), series(name, Leg::Client, legs.client)]
            })
            .collect();
        focus(&series)
    }

    /// The observers' accounting, summed over all hosts.
    pub fn books(&self) -> Books {
        let mut sum = Books::default();
        for host in self.known() {
            sum.lost += host.books.lost;
            sum.resyncs += host.books.resyncs;
            for (kind, n) in &host.books.blind {
                *sum.blind.entry(kind.clone()).or_default() += n;
            }
        }
        sum
    }
}
