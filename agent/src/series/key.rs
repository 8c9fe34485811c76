//! What is counted apart from what, in numbers: the compact key of a series, and how it folds when the table is full.

use hosp_agent_ebpf::{Leg, Method, Outcome, Record};

use crate::names::NameId;

/// Key of a series. Two requests are counted together when their keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Server leg: who listens. Client leg: who connected.
    pub service: NameId,
    /// Client leg: the address connected to. `None` on the server leg.
    pub address: Option<NameId>,
    /// Path template.
    pub route: NameId,
    /// The port listened on, or connected to.
    pub port: u16,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// The side on which the requests were seen.
    pub leg: Leg,
    /// Method.
    pub method: Method,
    /// How the requests ended.
    pub outcome: Outcome,
}

/// How much of a key is given up so that a full table still counts every request: always the part that
/// strangers can multiply most easily, and never the leg, the method or the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Nothing is given up.
    Exact,
    /// The route becomes `_other`.
    Route,
    /// The service and the address become `_other` as well, and the port 0.
    Service,
    /// The status becomes the lowest of its class as well.
    Status,
}

impl Fold {
    /// In the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Route, Self::Service, Self::Status];

    /// Up to how many series a table with room for `cap` takes a new key folded like this.
    ///
    /// The last one has no limit of its own: of 2 legs, 10 methods, 11 classes (statuses have three digits)
    /// and 7 outcomes, no more than 1,540 keys are left.
    pub const fn limit(self, cap: usize) -> usize {
        match self {
            Self::Exact => cap - cap / 4,
            Self::Route => cap - cap / 8,
            Self::Service => cap,
            Self::Status => usize::MAX,
        }
    }
}

impl Key {
    /// The key of `record`, once its names are known.
    pub fn new(record: &Record, service: NameId, address: Option<NameId>, route: NameId) -> Self {
        Self {
            service,
            address,
            route,
            port: server_port(record),
            status: record.status,
            leg: record.leg(),
            method: record.method(),
            outcome: record.outcome(),
        }
    }

    /// This key with as much given up as `fold` says.
    pub fn folded(mut self, fold: Fold) -> Self {
        if fold != Fold::Exact {
            self.route = NameId::OTHER;
        }
        if matches!(fold, Fold::Service | Fold::Status) {
            self.service = NameId::OTHER;
            self.address = self.address.map(|_| NameId::OTHER);
            self.port = 0;
        }
        if fold == Fold::Status {
            self.status = (self.status / 100 * 100).min(1000);
        }
        self
    }
}

/// The port that was listened on (server leg) or connected to (client leg).
pub fn server_port(record: &Record) -> u16 {
    match record.leg() {
        Leg::Server => record.local_port,
        Leg::Client => record.remote_port,
    }
}
