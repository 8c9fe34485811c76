//! The observer's own accounting: turns the kernel's counters into books, and checks them.

use hosp_agent_ebpf::{Counter, Leg};
use hosp_feed::Books;

use crate::source::Counters;

/// Kinds of connections, as the `kind` label names them.
const KINDS: [(Counter, &str); 4] = [
    (Counter::ConnHttp1, "http1"),
    (Counter::ConnTls, "tls"),
    (Counter::ConnHttp2, "http2"),
    (Counter::ConnOpaque, "opaque"),
];

/// Classes of statuses, as the `class` label names them, in the order of [`Counter::ENDED`].
pub const CLASSES: [&str; Counter::ENDED.len()] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// The books of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegBooks {
    /// Requests whose request line passed.
    pub seen: u64,
    /// Requests that became a record.
    pub recorded: u64,
    /// Requests that ended, those that were lost in the ring included, by class of status; see [`CLASSES`].
    pub classes: [u64; CLASSES.len()],
    /// Requests that are neither recorded nor lost yet.
    pub open: u64,
}

/// The books at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Both legs together, as the feed shows them.
    pub books: Books,
    /// Server leg, then client leg.
    pub legs: [(Option<Leg>, LegBooks); 2],
    /// Connections that the kernel had no memory for; their requests are not seen.
    pub untracked_connections: u64,
    /// Whether everything adds up; see [`Ledger::audit`].
    pub balanced: bool,
    /// Audits so far that found something that does not add up.
    pub failed: u64,
}

/// What userspace has to say about the books: how many records it took out of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Up to just before the counters were read.
    pub before: u64,
    /// Up to just after.
    pub after: u64,
}

/// Audits the books again and again, and remembers the last audit.
#[derive(Debug)]
pub struct Ledger {
    cpus: u64,
    last: Option<(u64, u64)>,
    failed: u64,
}

impl Ledger {
    /// For a machine with this many CPUs: as many programs may be between writing a record and counting it.
    pub fn new(cpus: u64) -> Self {
        Self { cpus, last: None, failed: 0 }
    }

    /// The books, of two readings of the counters, one right after the other.
    ///
    /// A reading is not a snapshot: it sums over CPUs that go on counting. Each request is counted as seen before
    /// it is counted as anything else, so requests recorded and lost by the first reading can never outnumber
    /// those seen by the second; if they do, a program miscounts. Nor can userspace take more records than were
    /// made (but for those that are being counted right now); and where nothing has moved since the last audit,
    /// it has taken exactly as many.
    pub fn audit(&mut self, first: &Counters, second: &Counters, taken: Taken) -> Audit {
        let mut audit = Audit { balanced: true, ..Audit::default() };
        let books = &mut audit.books;
        for (slot, leg) in audit.legs.iter_mut().zip([Leg::Server, Leg::Client]) {
            let earlier = |counter: Counter| first[counter.index(leg) as usize];
            let later = |counter: Counter| second[counter.index(leg) as usize];
            let classes = Counter::ENDED.map(earlier);
            let recorded = classes.iter().sum::<u64>().saturating_sub(earlier(Counter::LostRing));
            let lost: u64 = Counter::LOST.iter().map(|&(counter, _)| earlier(counter)).sum();
            let seen = later(Counter::Seen);
            let open = seen.checked_sub(recorded + lost);
            audit.balanced &= open.is_some();
            let open = open.unwrap_or(0);
            *slot = (Some(leg), LegBooks { seen, recorded, classes, open });
            books.seen += seen;
            books.recorded += recorded;
            books.open += open;
            for (counter, stage) in Counter::LOST {
                *books.lost.entry(stage.to_owned()).or_default() += earlier(counter);
            }
            for (counter, kind) in KINDS {
                *books.connections.entry(kind.to_owned()).or_default() += earlier(counter);
            }
            books.resyncs += earlier(Counter::Resyncs);
            audit.untracked_connections += earlier(Counter::NoStorage);
        }
        let recorded = audit.books.recorded;
        let quiet = taken.before == taken.after && self.last == Some((recorded, taken.after));
        audit.balanced &= match quiet {
            true => recorded == taken.after,
            false => taken.before <= recorded_by(second) + self.cpus,
        };
        self.last = Some((recorded, taken.after));
        self.failed += u64::from(!audit.balanced);
        audit.failed = self.failed;
        audit
    }
}

/// All records made, of both legs.
fn recorded_by(counters: &Counters) -> u64 {
    let of = |counter: Counter, leg| counters[counter.index(leg) as usize];
    let ended = |leg| Counter::ENDED.iter().map(|&counter| of(counter, leg)).sum::<u64>();
    [Leg::Server, Leg::Client].map(|leg| ended(leg).saturating_sub(of(Counter::LostRing, leg))).iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hosp_agent_ebpf::COUNTERS;

    fn counters(counts: &[(Counter, u64)]) -> Counters {
        let mut counters = [0; COUNTERS as usize];
        for (counter, n) in counts {
            counters[counter.index(Leg::Server) as usize] = *n;
        }
        counters
    }

    fn taken(n: u64) -> Taken {
        Taken { before: n, after: n }
    }

    #[test]
    fn every_stage_and_kind_is_there_from_the_start() {
        let audit = Ledger::new(2).audit(&counters(&[]), &counters(&[]), taken(0));
        assert_eq!(audit.books.lost.keys().collect::<Vec<_>>(), ["pending", "resync", "ring"]);
        assert_eq!(audit.books.connections.keys().collect::<Vec<_>>(), ["http1", "http2", "opaque", "tls"]);
        assert!(audit.balanced && audit.books.balanced());
    }

    #[test]
    fn what_is_neither_recorded_nor_lost_is_open() {
        use Counter::{Ended2xx, Ended5xx, LostRing, Seen};
        let now = counters(&[(Seen, 10), (Ended2xx, 6), (Ended5xx, 2), (LostRing, 2)]);
        let audit = Ledger::new(2).audit(&now, &now, taken(6));
        // Two of the eight that ended found no room.
        let classes = [0, 0, 6, 0, 0, 2, 0];
        assert_eq!(audit.legs[0], (Some(Leg::Server), LegBooks { seen: 10, recorded: 6, classes, open: 2 }));
        assert_eq!((audit.books.open, audit.books.lost["ring"]), (2, 2));
        assert!(audit.balanced && audit.books.balanced());
    }

    #[test]
    fn more_recorded_than_seen_is_out_of_balance() {
        let now = counters(&[(Counter::Seen, 1), (Counter::Ended2xx, 2)]);
        assert!(!Ledger::new(2).audit(&now, &now, taken(2)).balanced);
    }

    #[test]
    fn requests_that_pass_between_the_readings_unbalance_nothing() {
        let first = counters(&[(Counter::Seen, 5), (Counter::Ended2xx, 6)]);
        let second = counters(&[(Counter::Seen, 9), (Counter::Ended2xx, 9)]);
        assert!(Ledger::new(2).audit(&first, &second, Taken { before: 5, after: 9 }).balanced);
    }

    #[test]
    fn a_record_that_never_arrives_is_noticed_once_all_is_quiet() {
        let now = counters(&[(Counter::Seen, 5), (Counter::Ended2xx, 5)]);
        let mut ledger = Ledger::new(2);
        assert!(ledger.audit(&now, &now, taken(4)).balanced, "it may be on its way");
        assert!(!ledger.audit(&now, &now, taken(4)).balanced);
        let arrived = ledger.audit(&now, &now, taken(5));
        assert!(arrived.balanced && arrived.failed == 1, "what was once wrong is not forgotten");
        assert!(ledger.audit(&now, &now, taken(5)).balanced);
    }

    #[test]
    fn records_out_of_nowhere_are_noticed_at_once() {
        let now = counters(&[(Counter::Seen, 5), (Counter::Ended2xx, 5)]);
        assert!(!Ledger::new(2).audit(&now, &now, taken(8)).balanced);
    }
}
