//! From bytes to counts: decodes a record, names it, counts it; or holds it back while its name is being looked up.

use std::sync::Arc;
use std::time::Instant;

use hosp_agent_ebpf::Record;
use hosp_feed::{Attempts, ServiceInfo};

use crate::attempts::{Links, Unlinked};
use crate::enrich::Enricher;
use crate::live::{Live, Tail};
use crate::request_log::RequestLog;
use crate::series::{Cells, Interval, Table};
use crate::unread::{Unread, Unreads};

/// Most records held back. When there are more, all unanswered look-ups are given up.
const MAX_HELD: usize = 16 * 1024;

/// All state that records change. Belongs to the owner.
pub struct Intake {
    enricher: Enricher,
    table: Table,
    tail: Tail,
    links: Links,
    unreads: Unreads,
    log: Option<RequestLog>,
    held: Vec<Record>,
    taken: u64,
    bad: u64,
}

/// What happened in one interval.
pub struct Yield {
    /// Every series: its cells, its total, and the interval's latencies.
    pub series: Vec<(Arc<Cells>, u64, Interval)>,
    /// Newest requests, oldest first.
    pub live: Vec<Live>,
    /// Requests in all.
    pub live_of: u64,
}

impl Intake {
    /// Nothing counted yet. Every request goes to `log` as well, if there is one.
    pub fn new(enricher: Enricher, table: Table, log: Option<RequestLog>) -> Self {
        Self {
            enricher,
            table,
            tail: Tail::default(),
            links: Links::default(),
            unreads: Unreads::default(),
            log,
            held: Vec::new(),
            taken: 0,
            bad: 0,
        }
    }

    /// Lets the first look-up of processes finish.
    pub fn settle(&mut self) {
        self.enricher.settle();
    }

    /// Takes one record out of the ring.
    pub fn take(&mut self, bytes: &[u8], now: Instant) {
        self.taken += 1;
        match Record::decode(bytes) {
            Ok(record) => self.count(&record, now),
            Err(error) => {
                // The first one is worth a line; the counter tells the rest.
                if self.bad == 0 {
                    tracing::error!(%error, "a record from the kernel is not understood; the BPF object does not belong to this agent");
                }
                self.bad += 1;
            }
        }
    }

    fn count(&mut self, record: &Record, now: Instant) {
        let Some(key) = self.enricher.key(record, now) else {
            if self.held.len() == MAX_HELD {
                self.enricher.give_up();
                self.release(now);
            }
            self.held.push(*record);
            return;
        };
        self.table.observe(key, record.into(), |key| self.enricher.labels(key));
        self.links.note(record, key.service, now);
        self.unreads.note(record, key.service);
        self.tail.push(record, key);
        if let Some(log) = &mut self.log {
            log.push(Live::new(*record, self.enricher.words(record, &key)));
        }
    }

    /// Looks after names, counts the records whose names have come in, and passes on what is to be logged.
    pub fn poll(&mut self, now: Instant) {
        if self.enricher.poll(now) {
            self.release(now);
        }
        self.links.poll(now);
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Counts every record that is held back, with or without a proper name.
    pub fn finish(&mut self, now: Instant) {
        self.enricher.give_up();
        self.release(now);
        self.links.finish();
    }

    /// Attempts by request, of every service that both is asked and asks.
    pub fn attempts(&self) -> Vec<Attempts> {
        self.links.counts(|service| self.enricher.service(service).to_string())
    }

    fn release(&mut self, now: Instant) {
        for record in std::mem::take(&mut self.held) {
            self.count(&record, now);
        }
    }

    /// Ends the interval.
    pub fn end_interval(&mut self) -> Yield {
        let Self { enricher, tail, table, .. } = self;
        let (live, live_of) = tail.take(|record, key| enricher.words(record, key));
        let series = table.take_interval().into_iter().map(|(cells, interval)| {
            let total = cells.read().total();
            (cells, total, interval)
        });
        Yield { series: series.collect(), live, live_of }
    }

    /// How long the requests of each service lay unread; empty unless asked for.
    pub fn unread(&self) -> Vec<(Arc<str>, Unread)> {
        self.unreads.read(|service| self.enricher.service(service).clone()).collect()
    }

    /// Every service with the units that it runs in.
    pub fn services(&self) -> Vec<ServiceInfo> {
        self.enricher.services()
    }

    /// Whether records are being held back.
    pub fn holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Records taken out of the ring, bad ones included.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// What did not fit or was not understood, so far.
    pub fn losses(&self) -> Losses {
        let overflow = self.enricher.overflow();
        Losses {
            bad_records: self.bad,
            unlinked: self.links.unlinked(),
            unlogged: self.log.as_ref().map_or(0, RequestLog::dropped),
            overflow: [
                ("route", overflow.routes),
                ("service", overflow.services),
                ("address", overflow.addresses),
                ("series", self.table.folded()),
            ],
        }
    }
}

/// What did not fit or was not understood, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records that could not be decoded.
    pub bad_records: u64,
    /// Requests whose attempts are not known.
    pub unlinked: Unlinked,
    /// Requests that should be in the request log and are not.
    pub unlogged: u64,
    /// Requests counted under `_other`, by what was full.
    pub overflow: [(&'static str, u64); 4],
}
