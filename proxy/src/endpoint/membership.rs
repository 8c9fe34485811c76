//! The endpoints of all origins, as DNS changes them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{Endpoint, Upstream};
use crate::health::Health;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::origin::Origin;

/// Most endpoints of all origins together; further addresses are left out.
pub const MOST_ENDPOINTS: usize = 64;

/// All endpoints. Workers keep a copy of the list and look at the generation, which costs them nothing.
#[derive(Debug)]
pub struct Membership {
    /// The configured origins, tier by tier.
    pub upstreams: Vec<Arc<Upstream>>,
    generation: AtomicU64,
    list: Mutex<Arc<[Arc<Endpoint>]>>,
    next: AtomicU64,
}

impl Membership {
    /// The origins of these tiers. Those that are addresses have their endpoint at once; names wait for
    /// [`Membership::update`].
    pub fn new(tiers: &[Vec<Origin>], metrics: &Metrics, now: Instant) -> Self {
        let upstreams: Vec<_> = tiers
            .iter()
            .enumerate()
            .flat_map(|(tier, origins)| origins.iter().map(move |origin| (tier, origin)))
            .map(|(tier, origin)| Arc::new(Upstream::new(origin.clone(), tier, metrics)))
            .collect();
        let membership = Self {
            upstreams,
            generation: AtomicU64::new(0),
            list: Mutex::new(Arc::new([])),
            next: AtomicU64::new(0),
        };
        for upstream in &membership.upstreams {
            if let Some(address) = upstream.origin.address() {
                membership.update(upstream, &[address], now);
            }
        }
        membership
    }

    /// Takes over the addresses that `predecessor` knows of the same origins: a look-up need not succeed once more
    /// before they can be asked.
    pub fn inherit(&self, predecessor: &Self, now: Instant) {
        let known = predecessor.list();
        for upstream in &self.upstreams {
            let same = known.iter().filter(|endpoint| endpoint.upstream.origin == upstream.origin);
            let addresses: Vec<_> = same.map(|endpoint| endpoint.address).collect();
            if !addresses.is_empty() {
                self.update(upstream, &addresses, now);
            }
        }
    }

    /// Changes with every change of the list.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// All endpoints at this moment.
    pub fn list(&self) -> Arc<[Arc<Endpoint>]> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries and answers under way at all endpoints of `upstream`.
    pub fn in_flight(&self, upstream: &Arc<Upstream>) -> u64 {
        let list = self.list();
        let own = list.iter().filter(|endpoint| Arc::ptr_eq(&endpoint.upstream, upstream));
        own.map(|endpoint| endpoint.in_flight()).sum()
    }

    /// From now on `upstream` has these addresses. Endpoints that stay keep what is known of them. `true` when
    /// anything has changed.
    pub fn update(&self, upstream: &Arc<Upstream>, addresses: &[SocketAddr], now: Instant) -> bool {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |endpoint: &Arc<Endpoint>| Arc::ptr_eq(&endpoint.upstream, upstream);
        let stays = |endpoint: &Arc<Endpoint>| !own(endpoint) || addresses.contains(&endpoint.address);
        let mut new: Vec<_> = list.iter().filter(|endpoint| stays(endpoint)).cloned().collect();
        let before = new.len();
        for &address in addresses {
            let known = new.iter().any(|endpoint| own(endpoint) && endpoint.address == address);
            if !known && new.len() < MOST_ENDPOINTS {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                // What joins a running list begins slowly; what is there from the start has nobody to lean on.
                let joined = list.iter().any(own).then_some(now);
                new.push(Arc::new(Endpoint {
                    upstream: upstream.clone(),
                    address,
                    health: Health::new(now, joined),
                    limit: Limit::new(now),
                    number,
                    in_flight: AtomicU64::new(0),
                }));
            }
        }
        let changed = new.len() != before || before != list.len();
        if changed {
            *list = new.into();
            self.generation.fetch_add(1, Ordering::Release);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn addresses(hosts: std::ops::Range<u8>) -> Vec<SocketAddr> {
        hosts.map(|host| ([127, 0, 0, host], 80).into()).collect()
    }

    fn membership(origins: &[&str], now: Instant) -> Membership {
        let tier = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        Membership::new(&[tier], &Metrics::new(), now)
    }

    #[test]
    fn an_address_is_an_endpoint_at_once_and_a_name_none_until_it_is_looked_up() {
        let now = Instant::now();
        let membership = membership(&["http://127.0.0.1", "http://[::1]:81", "http://a.example"], now);
        let list: Vec<String> = membership.list().iter().map(|e| e.address.to_string()).collect();
        assert_eq!(list, ["127.0.0.1:80", "[::1]:81"]);
    }

    #[test]
    fn what_stays_is_the_same_endpoint_and_the_generation_tells_of_changes_only() {
        let now = Instant::now();
        let membership = membership(&["http://a.example"], now);
        let upstream = membership.upstreams[0].clone();
        assert!(membership.update(&upstream, &addresses(1..3), now));
        let (before, generation) = (membership.list(), membership.generation());
        assert!(!membership.update(&upstream, &addresses(1..3), now));
        assert_eq!(membership.generation(), generation);
        assert!(membership.update(&upstream, &addresses(2..4), now));
        assert_ne!(membership.generation(), generation);
        let after = membership.list();
        assert!(Arc::ptr_eq(&before[1], &after[0]));
        assert_eq!(after.len(), 2);
    }

    #[test]
    fn what_joins_begins_slowly_but_not_what_is_there_from_the_start() {
        let now = Instant::now();
        let membership = membership(&["http://a.example"], now);
        let upstream = membership.upstreams[0].clone();
        membership.update(&upstream, &addresses(1..2), now);
        membership.update(&upstream, &addresses(1..3), now);
        let weights: Vec<bool> = membership
            .list()
            .iter()
            .map(|endpoint| endpoint.health.weight(now, Duration::from_secs(1)) < 1.0)
            .collect();
        assert_eq!(weights, [false, true]);
    }

    #[test]
    fn a_successor_knows_the_addresses_of_the_origins_that_stay() {
        let now = Instant::now();
        let old = membership(&["http://a.example", "http://b.example"], now);
        old.update(&old.upstreams[0], &addresses(1..3), now);
        old.update(&old.upstreams[1], &addresses(5..6), now);
        let new = membership(&["http://127.0.0.9", "http://a.example"], now);
        new.inherit(&old, now);
        let list: Vec<_> = new.list().iter().map(|endpoint| endpoint.address).collect();
        assert_eq!(list, [addresses(9..10), addresses(1..3)].concat());
    }

    #[test]
    fn a_name_with_too_many_addresses_does_not_crowd_out_what_is_there() {
        let now = Instant::now();
        let membership = membership(&["http://127.0.1.1", "http://a.example"], now);
        let upstream = membership.upstreams[1].clone();
        membership.update(&upstream, &addresses(0..200), now);
        let list = membership.list();
        assert_eq!(list.len(), MOST_ENDPOINTS);
        assert_eq!(list[0].address, "127.0.1.1:80".parse().unwrap());
    }
}
