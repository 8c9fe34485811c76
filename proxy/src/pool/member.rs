//! One endpoint as one worker sees it: the idle connections to it, how long it takes, and what it answered lately.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Lease;
use crate::endpoint::{Endpoint, PeakEwma};
use crate::limit::Tally;

/// One endpoint as one worker sees it.
#[derive(Debug)]
pub struct Member {
    /// What all workers know of it.
    pub endpoint: Arc<Endpoint>,
    idle: RefCell<Vec<Idle>>,
    retired: Cell<bool>,
    pace: Cell<PeakEwma>,
    tally: Cell<Tally>,
}

#[derive(Debug)]
struct Idle {
    lease: Lease,
    since: Instant,
}

impl Member {
    /// Nothing is known, and there is no connection.
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            idle: RefCell::default(),
            retired: Cell::new(false),
            pace: Cell::new(PeakEwma::new(Instant::now().into_std())),
            tally: Cell::default(),
        }
    }

    /// What a further request would have to wait here, as far as can be told.
    pub fn cost(&self, now: Instant) -> f64 {
        self.pace.get().cost(self.endpoint.in_flight(), now.into_std())
    }

    /// Takes note of an answer as it should be, after `latency`.
    pub fn good(&self, latency: Duration, now: Instant) {
        self.pace(|pace| pace.answered(latency, now.into_std()));
        self.count(|tally| {
            tally.good += 1;
            tally.seconds += latency.as_secs_f64();
        });
    }

    /// Takes note of a failure after `latency`.
    pub fn bad(&self, latency: Duration, now: Instant) {
        self.pace(|pace| pace.failed(latency, now.into_std()));
        self.count(|tally| tally.bad += 1);
    }

    /// What was noted since this was last asked.
    pub(super) fn take_tally(&self) -> Tally {
        self.tally.take()
    }

    /// The endpoint is no longer one: connections that are in use now are not kept afterwards.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
    }

    /// An idle connection, if there is one. `certain` asks the kernel, too, whether it is still open.
    pub(super) fn checkout(&self, certain: bool) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        for at in (0..idle.len()).rev() {
            let sender = &idle[at].lease.sender;
            if sender.is_closed() {
                idle.remove(at);
            } else if sender.is_ready() {
                let lease = idle.remove(at).lease;
                if !(certain && lease.link.is_stale()) {
                    return Some(lease);
                }
            }
            // Neither closed nor ready: its last exchange is not quite over. Another one will do.
        }
        None
    }

    /// Takes a connection back, unless `most` are idle already.
    pub(super) fn put_back(&self, mut lease: Lease, now: Instant, most: usize) {
        let mut idle = self.idle.borrow_mut();
        if !self.retired.get() && !lease.sender.is_closed() && idle.len() < most {
            lease.reused = true;
            idle.push(Idle { lease, since: now });
        }
    }

    /// Closes what has been idle for too long.
    pub(super) fn reap(&self, now: Instant, idle_timeout: Duration) {
        let young = |idle: &Idle| now.duration_since(idle.since) < idle_timeout;
        self.idle.borrow_mut().retain(|idle| young(idle) && !idle.lease.sender.is_closed());
    }

    fn pace(&self, change: impl FnOnce(&mut PeakEwma)) {
        let mut pace = self.pace.get();
        change(&mut pace);
        self.pace.set(pace);
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        let mut tally = self.tally.get();
        change(&mut tally);
        self.tally.set(tally);
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    #[cfg(test)]
    pub(super) fn newest_is_closed(&self) -> bool {
        self.idle.borrow().last().is_some_and(|idle| idle.lease.sender.is_closed())
    }
}
