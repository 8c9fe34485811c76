//! Attempts per request, request by request: links what a service asked its origins to what it was asked itself.
//!
//! A proxy passes `X-Request-Id` or `traceparent` on, so that the request on its server leg and every attempt on its
//! client leg carry the same id. Attempts usually end first, but a hedge that was given up ends after the answer: so
//! an answered request waits for a moment before it is counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hosp_agent_ebpf::{Leg, Record};
use hosp_feed::Attempts;

use crate::names::NameId;

/// How long after a request's end its attempts may end.
const GRACE: Duration = Duration::from_secs(2);

/// How long attempts wait for the end of their request: longer than any deadline that makes sense.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most requests and attempts that wait, about 3 MiB.
const MAX_WAITING: usize = 32 * 1024;

/// What is known of one id at one service.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// When it was first heard of.
    since: Instant,
    /// Requests with this id that the service was asked.
    asked: u32,
    /// Attempts with this id that it made.
    tried: u32,
}

/// What one service has been seen to do, and its counts.
#[derive(Clone, Copy, Debug, Default)]
struct Service {
    serves: bool,
    tries: bool,
    requests: [u64; Attempts::BUCKETS],
    attempts: u64,
}

/// Requests of services that have attempts, but cannot be told how many they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unlinked {
    /// They carry no id.
    pub no_id: u64,
    /// Others carried the same id at the same time.
    pub repeated_id: u64,
    /// Too many were waiting.
    pub overflow: u64,
}

/// Links requests and attempts. Belongs to the owner.
#[derive(Debug, Default)]
pub struct Links {
    waiting: HashMap<(NameId, u64), Link, RandomState>,
    /// Answered requests, in the order in which they are due.
    due: VecDeque<(Instant, (NameId, u64))>,
    services: HashMap<NameId, Service, RandomState>,
    unlinked: Unlinked,
    swept: Option<Instant>,
}

impl Links {
    /// Takes in one record of `service`.
    pub fn note(&mut self, record: &Record, service: NameId, now: Instant) {
        if service == NameId::OTHER {
            return;
        }
        let known = self.services.entry(service).or_default();
        let leg = record.leg();
        match leg {
            Leg::Server => known.serves = true,
            Leg::Client => known.tries = true,
        }
        let (serves, tries) = (known.serves, known.tries);
        // An origin has no attempts; a service without an attempt so far may be one.
        if leg == Leg::Server && !tries {
            return;
        }
        if record.request_id == 0 {
            self.unlinked.no_id += u64::from(leg == Leg::Server);
            return;
        }
        let key = (service, record.request_id);
        if !self.waiting.contains_key(&key) && !self.make_room(serves) {
            self.unlinked.overflow += u64::from(leg == Leg::Server);
            return;
        }
        let link = self.waiting.entry(key).or_insert(Link { since: now, asked: 0, tried: 0 });
        match leg {
            Leg::Client => link.tried = link.tried.saturating_add(1),
            Leg::Server => {
                link.asked = link.asked.saturating_add(1);
                if link.asked == 1 {
                    self.due.push_back((now + GRACE, key));
                }
            }
        }
    }

    /// Whether one more may wait. What only asks, such as a load generator, gets half of the places.
    fn make_room(&mut self, serves: bool) -> bool {
        if self.waiting.len() < MAX_WAITING / if serves { 1 } else { 2 } {
            return true;
        }
        // Rather a request that is counted a little early than one that is not counted.
        match self.due.pop_front() {
            Some((_, key)) if serves => {
                self.settle(key);
                true
            }
            Some(due) => {
                self.due.push_front(due);
                false
            }
            None => false,
        }
    }

    /// Counts the requests whose attempts have all ended by now, and forgets attempts whose request never came.
    pub fn poll(&mut self, now: Instant) {
        while let Some(&(due, key)) = self.due.front()
            && due <= now
        {
            self.due.pop_front();
            self.settle(key);
        }
        if self.swept.is_none_or(|at| now.duration_since(at) >= PATIENCE / 2) {
            self.swept = Some(now);
            self.waiting.retain(|_, link| link.asked > 0 || now.duration_since(link.since) < PATIENCE);
        }
    }

    /// Counts every request that has been answered.
    pub fn finish(&mut self) {
        while let Some((_, key)) = self.due.pop_front() {
            self.settle(key);
        }
    }

    fn settle(&mut self, key: (NameId, u64)) {
        let Some(link) = self.waiting.remove(&key) else { return };
        if link.asked > 1 {
            self.unlinked.repeated_id += u64::from(link.asked);
            return;
        }
        let service = self.services.entry(key.0).or_default();
        let bucket = usize::try_from(link.tried).map_or(usize::MAX, |n| n).min(Attempts::BUCKETS - 1);
        service.requests[bucket] += 1;
        service.attempts += u64::from(link.tried);
    }

    /// The counts of every service that has been asked and has tried, with its name by `name`.
    pub fn counts(&self, name: impl Fn(NameId) -> String) -> Vec<Attempts> {
        let linked = self.services.iter().filter(|(_, service)| service.serves && service.tries);
        // In the same order every time.
        let linked: BTreeMap<_, _> = linked.collect();
        linked
            .into_iter()
            .map(|(id, Service { requests, attempts, .. })| Attempts {
                service: name(*id),
                requests: *requests,
                attempts: *attempts,
            })
            .collect()
    }

    /// Requests whose attempts are not known.
    pub fn unlinked(&self) -> Unlinked {
        self.unlinked
    }
}

#[cfg(test)]
mod tests;
