//! What ended within one span of time, by service, leg and route.

use std::collections::BTreeMap;

use hosp_feed::{Leg, Tally};

use super::Sparse;
use crate::clean::Label;
use crate::legs::Legs;
use crate::reading::Linked;

/// What ended within one span of time on one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Milliseconds of the agent's time that it covers.
    pub covered_ms: u64,
    /// By service.
    pub services: BTreeMap<Label, ServiceCell>,
    /// Requests that the proxy answered.
    pub proxy_requests: u64,
    /// Those of them that its cache answered.
    pub proxy_from_cache: u64,
    /// Retries that it made.
    pub proxy_retries: u64,
}

/// Each reading is believable by itself, but nothing bounds the sum of all that a broken agent may send.
const fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// What one service answered and asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceCell {
    /// All of its requests.
    pub legs: Legs<LegCell>,
    /// The same, by route; latencies in [`Sparse::coarse`] form.
    pub routes: BTreeMap<RouteKey, Legs<LegCell>>,
    /// Requests that were linked to their attempts.
    pub linked: Linked,
}

/// Method and path template.
pub type RouteKey = (Label, Label);

/// Requests of one leg.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LegCell {
    /// How many ended, counted and succeeded.
    pub tally: Tally,
    /// By status class: without a status, then 1xx to 5xx, then any other.
    pub classes: [u64; Self::CLASSES],
    /// How long they took.
    pub latency: Sparse,
}

impl LegCell {
    /// Number of status classes told apart.
    pub const CLASSES: usize = 7;

    /// The place of a status in [`Self::classes`].
    pub const fn class(status: u16) -> usize {
        match status {
            0 => 0,
            100..600 => status as usize / 100,
            _ => 6,
        }
    }

    /// Adds the counts of `other`, and not its latencies.
    pub fn count(&mut self, other: &Self) {
        add(&mut self.tally.ended, other.tally.ended);
        add(&mut self.tally.counted, other.tally.counted);
        add(&mut self.tally.succeeded, other.tally.succeeded);
        self.classes.iter_mut().zip(other.classes).for_each(|(n, more)| add(n, more));
    }

    fn merge(&mut self, other: &Self) {
        self.count(other);
        self.latency.merge(&other.latency);
    }
}

impl Cell {
    /// Most services, and most routes of one service, kept of one reading; the smallest beyond are added up
    /// under [`Self::OTHER`]. Agents have a cap of their own; this one is for agents gone wrong.
    pub const MAX_SERVICES: usize = 32;
    /// See [`Self::MAX_SERVICES`].
    pub const MAX_ROUTES: usize = 256;
    /// The name of what lies beyond the caps.
    pub const OTHER: &str = "_other";

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.covered_ms, other.covered_ms);
        add(&mut self.proxy_requests, other.proxy_requests);
        add(&mut self.proxy_from_cache, other.proxy_from_cache);
        add(&mut self.proxy_retries, other.proxy_retries);
        for (name, service) in &other.services {
            self.services.entry(name.clone()).or_default().merge(service);
        }
        self.cap();
    }

    /// Brings the numbers of services and routes under their caps.
    pub fn cap(&mut self) {
        let other = Label::clean(Self::OTHER);
        let ended = |service: &ServiceCell| legs_ended(&service.legs);
        fold_smallest(&mut self.services, Self::MAX_SERVICES, &other, ended, ServiceCell::merge);
        for service in self.services.values_mut() {
            let key = (other.clone(), other.clone());
            fold_smallest(&mut service.routes, Self::MAX_ROUTES, &key, legs_ended, merge_legs);
        }
    }
}

impl ServiceCell {
    /// Adds all of `other`.
    fn merge(&mut self, other: &Self) {
        merge_legs(&mut self.legs, &other.legs);
        add(&mut self.linked.requests, other.linked.requests);
        add(&mut self.linked.attempts, other.linked.attempts);
        for (key, legs) in &other.routes {
            merge_legs(self.routes.entry(key.clone()).or_default(), legs);
        }
    }
}

fn legs_ended(legs: &Legs<LegCell>) -> u64 {
    legs.server.tally.ended.saturating_add(legs.client.tally.ended)
}

fn merge_legs(to: &mut Legs<LegCell>, from: &Legs<LegCell>) {
    for leg in [Leg::Server, Leg::Client] {
        to.get_mut(leg).merge(from.get(leg));
    }
}

/// Leaves at most `most` entries of `map`: the lightest go into the one under `rest`.
fn fold_smallest<K: Ord + Clone, V: Default>(
    map: &mut BTreeMap<K, V>,
    most: usize,
    rest: &K,
    weight: impl Fn(&V) -> u64,
    merge: impl Fn(&mut V, &V),
) {
    if map.len() <= most {
        return;
    }
    let mut by_weight: Vec<(u64, K)> =
        map.iter().filter(|(key, _)| *key != rest).map(|(key, value)| (weight(value), key.clone())).collect();
    by_weight.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    for (_, key) in by_weight.drain(most - 1..) {
        if let Some(value) = map.remove(&key) {
            merge(map.entry(rest.clone()).or_default(), &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(ended: u64) -> ServiceCell {
        let mut service = ServiceCell::default();
        service.legs.server.tally.ended = ended;
        service
    }

    #[test]
    fn beyond_the_cap_the_smallest_are_added_up() {
        let services = (1..=100).map(|n| (Label::clean(&format!("s{n}")), service(n))).collect();
        let mut cell = Cell { services, ..Cell::default() };
        cell.cap();
        assert_eq!(cell.services.len(), Cell::MAX_SERVICES);
        assert!(cell.services.contains_key(&Label::clean("s100")));
        let rest = &cell.services[&Label::clean(Cell::OTHER)];
        assert_eq!(rest.legs.server.tally.ended, (1..=69).sum::<u64>());
    }

    #[test]
    fn every_status_has_a_class() {
        let cases =
            [(0, 0), (1, 6), (99, 6), (100, 1), (204, 2), (599, 5), (600, 6), (999, 6), (u16::MAX, 6)];
        for (status, class) in cases {
            assert_eq!(LegCell::class(status), class, "{status}");
        }
    }
}
