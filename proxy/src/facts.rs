//! What the proxy says of itself on `/v1/facts`, read from the very counters that `/metrics` shows.

use std::collections::BTreeMap;

use hosp_feed::{OriginState, ProxyFacts};
use prometheus::IntCounter;
use prometheus::core::Collector;

use crate::cache::CacheResult;
use crate::retry::{Denied, Reason};
use crate::shared::Shared;

/// The facts at this moment.
pub fn facts(shared: &Shared) -> ProxyFacts {
    let metrics = &shared.metrics;
    let origins: Vec<OriginState> = shared
        .origins
        .endpoints
        .upstreams
        .iter()
        .map(|upstream| OriginState {
            origin: upstream.name().to_owned(),
            in_flight: shared.origins.endpoints.in_flight(upstream),
            attempts: upstream.attempts().map(|(outcome, n)| (outcome.to_owned(), n)).collect(),
        })
        .collect();
    ProxyFacts {
        requests: answered(&metrics.requests.collect()),
        attempts: origins.iter().flat_map(|o| o.attempts.values()).sum(),
        retries: named(Reason::ALL.map(Reason::name), &metrics.retries),
        retries_denied: named(Denied::ALL.map(Denied::name), &metrics.denied),
        cache: named(CacheResult::ALL.map(CacheResult::name), &metrics.cache),
        origins,
    }
}

/// Requests that got an answer: all but those under status 0.
fn answered(families: &[prometheus::proto::MetricFamily]) -> u64 {
    families
        .iter()
        .flat_map(|family| family.get_metric())
        .filter(|m| m.get_label().iter().all(|l| l.name() != "http_response_status_code" || l.value() != "0"))
        .map(|m| m.get_counter().get_value() as u64)
        .sum()
}

/// Counters by name; those at 0 are left out.
fn named<const N: usize>(names: [&str; N], counters: &[IntCounter; N]) -> BTreeMap<String, u64> {
    names
        .into_iter()
        .zip(counters)
        .map(|(name, counter)| (name.to_owned(), counter.get()))
        .filter(|(_, n)| *n > 0)
        .collect()
}
