//! The origin's own books: every request once, by method and by how it ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::counts::Counts;

/// What the origin counted, as `GET /__counts` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginReport {
    /// Where it serves.
    pub listen: SocketAddr,
    /// Requests ended, by method and status; 0 for those that it reset or that were abandoned.
    pub counts: Counts,
    /// Requests whose connection it reset before the head.
    pub resets: u64,
    /// Requests whose client went away before the head.
    pub abandoned: u64,
    /// Requests under way.
    pub open: u64,
    /// Different notes written.
    pub notes_written: u64,
    /// Times that a note was written again.
    pub notes_repeated: u64,
}

impl OriginReport {
    /// Requests received, ended or not.
    pub fn requests(&self) -> u64 {
        self.counts.total() + self.open
    }
}

/// The books themselves.
#[derive(Debug)]
pub(super) struct Ledger {
    listen: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    resets: u64,
    abandoned: u64,
    open: u64,
    /// How often each note was written, by its unique id.
    notes: BTreeMap<String, u64>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this status.
    Answered(u16),
    /// By a reset of ours.
    Reset,
    /// The client went away.
    Abandoned,
}

/// A request under way. Dropped without an end, it counts as abandoned: the server drops what it was doing
/// when the client goes away.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    method: String,
    end: End,
}

impl Ledger {
    pub(super) fn new(listen: SocketAddr) -> Self {
        Self { listen, state: Mutex::default() }
    }

    /// Opens the account of one request.
    pub(super) fn begin(self: &Arc<Self>, method: &str) -> Entry {
        self.state().open += 1;
        Entry { ledger: Arc::clone(self), method: method.to_owned(), end: End::Abandoned }
    }

    /// Counts a note as written.
    pub(super) fn note(&self, id: &str) {
        *self.state().notes.entry(id.to_owned()).or_default() += 1;
    }

    /// Everything counted so far.
    pub(super) fn report(&self) -> OriginReport {
        let state = self.state();
        OriginReport {
            listen: self.listen,
            counts: state.counts.clone(),
            resets: state.resets,
            abandoned: state.abandoned,
            open: state.open,
            notes_written: state.notes.len() as u64,
            notes_repeated: state.notes.values().map(|times| times - 1).sum(),
        }
    }

    /// The state; counts stay true even when a holder of the lock has panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Closes the account.
    pub(super) fn end(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.open -= 1;
        let status = match self.end {
            End::Answered(status) => status,
            End::Reset => {
                state.resets += 1;
                0
            }
            End::Abandoned => {
                state.abandoned += 1;
                0
            }
        };
        state.counts.add(&self.method, status, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Kind;

    #[test]
    fn every_request_ends_in_exactly_one_account() {
        let ledger = Arc::new(Ledger::new(([127, 0, 0, 1], 1).into()));
        ledger.begin("GET").end(End::Answered(200));
        ledger.begin("GET").end(End::Reset);
        drop(ledger.begin("POST"));
        let open = ledger.begin("GET");
        let report = ledger.report();
        assert_eq!((report.requests(), report.open, report.resets, report.abandoned), (4, 1, 1, 1));
        assert_eq!(report.counts.get(&"POST 0".parse::<Kind>().unwrap()), 1);
        drop(open);
        assert_eq!((ledger.report().requests(), ledger.report().open), (4, 0));
    }

    #[test]
    fn a_note_written_again_shows() {
        let ledger = Ledger::new(([127, 0, 0, 1], 1).into());
        ["a", "b", "a", "a"].iter().for_each(|id| ledger.note(id));
        assert_eq!((ledger.report().notes_written, ledger.report().notes_repeated), (2, 2));
    }
}
