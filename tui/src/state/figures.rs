//! The figures that the panels show, computed from what the agents have told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hosp_feed::Focus;

use super::{Data, Trend, Window};
use crate::clean::Label;
use crate::history::{Cell, LegCell, RouteKey, ServiceCell, Sparse};
use crate::legs::Legs;
use crate::reading::{Linked, Request};

/// The shares whose latencies are shown: p50, p90, p99, p99.9.
pub const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// The figures that the panels show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The service that they are about; `None` for all services together.
    pub service: Option<Label>,
    /// Both legs over the window.
    pub legs: Legs<LegFigures>,
    /// Requests of the service that were linked to their attempts.
    pub linked: Linked,
    /// Share of the requests that never reached the origin.
    pub unreached: Option<Unreached>,
    /// Retries that the proxy made in the window; `None` without a proxy.
    pub retries: Option<u64>,
    /// Busiest first.
    pub routes: Vec<RouteFigures>,
    /// Both legs over time.
    pub trend: Trend,
    /// Newest first.
    pub live: Vec<Arc<Request>>,
}

/// One leg over the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LegFigures {
    /// Requests per second that ended; `None` where nothing has been heard in the window.
    pub rate: Option<f64>,
    /// Counts, without latencies.
    pub sum: LegCell,
    /// Latencies at [`SHARES`], in microseconds; `None` without a request.
    pub quantiles: Option<[u32; SHARES.len()]>,
}

/// One route over the window.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteFigures {
    /// Method and path template.
    pub key: RouteKey,
    /// Both legs. Latencies are coarse: up to a 64th too high.
    pub legs: Legs<LegFigures>,
}

/// Attempts at the origin per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attempts {
    /// Of requests that an id links to their attempts, one by one.
    Linked(f64),
    /// Requests of the client leg for each one of the server leg.
    Average(f64),
}

/// Share of the requests that never reached the origin, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unreached {
    /// Told by the proxy's cache.
    Exactly(f64),
    /// Without a proxy to ask: at least so many, since each request that reached the origin was at least one
    /// attempt.
    AtLeast(f64),
}

/// Counts and latencies of one leg, summed up over hosts.
#[derive(Default)]
struct Sum<'a> {
    rate: Option<f64>,
    count: LegCell,
    latencies: Vec<&'a Sparse>,
}

impl Figures {
    /// The figures of `window` up to `now`, about `wanted` or, without it, about [`Data::focus`].
    pub fn compute(data: &Data, now: Duration, window: Window, wanted: Option<&Label>) -> Self {
        let service = wanted.cloned().or_else(|| match data.focus() {
            Focus::Service(name) => Some(Label::clean(&name)),
            Focus::Everything => None,
        });
        let service = service.as_ref();
        let legs = legs(data, now, window, service);
        let proxy = proxy(data, now, window);
        Self {
            service: service.cloned(),
            unreached: service.and_then(|_| unreached(&legs, proxy)),
            linked: service.map(|service| linked(data, now, window, service)).unwrap_or_default(),
            retries: proxy.map(|(_, _, retries)| retries),
            routes: routes(data, now, window, service),
            trend: Trend::compute(data, now, window, service),
            live: data
                .tail
                .iter()
                .rev()
                .filter(|r| service.is_none_or(|s| r.service == *s))
                .cloned()
                .collect(),
            legs,
        }
    }

    /// Attempts at the origin per request of a client; `None` where the view is not about one service that is
    /// seen on both legs, since the legs of different services have nothing to do with each other.
    pub fn attempts_per_request(&self) -> Option<Attempts> {
        self.service.as_ref()?;
        let (asked, tried) = (self.legs.server.sum.tally.ended, self.legs.client.sum.tally.ended);
        // A few requests that happen to carry an id say nothing about the rest.
        if self.linked.requests > 0 && self.linked.requests >= asked / 2 {
            return Some(Attempts::Linked(self.linked.attempts as f64 / self.linked.requests as f64));
        }
        (asked > 0 && tried > 0).then(|| Attempts::Average(tried as f64 / asked as f64))
    }

    /// Requests per second, from a count in so many milliseconds.
    pub(super) fn rate(count: u64, covered_ms: u64) -> f64 {
        count as f64 * 1000.0 / covered_ms.max(1) as f64
    }

    /// The services of `cell` that a view of `service` is about.
    pub(super) fn covered<'a>(
        cell: &'a Cell,
        service: Option<&'a Label>,
    ) -> impl Iterator<Item = &'a ServiceCell> {
        let one = service.and_then(|name| cell.services.get(name));
        let all = cell.services.values().take(if service.is_none() { usize::MAX } else { 0 });
        one.into_iter().chain(all)
    }
}

impl Sum<'_> {
    fn finish(self) -> LegFigures {
        LegFigures {
            rate: self.rate,
            sum: self.count,
            quantiles: Sparse::merged(self.latencies).quantiles(SHARES),
        }
    }
}

/// The cells of each host within the window, and how many milliseconds they cover.
fn cells(data: &Data, now: Duration, window: Window) -> impl Iterator<Item = (Vec<&Cell>, u64)> {
    let (resolution, count) = window.cells();
    data.known().filter_map(move |host| {
        let cells: Vec<&Cell> = host.history.last(resolution, count, now).map(|(_, cell)| cell).collect();
        let covered = cells.iter().map(|cell| cell.covered_ms).fold(0, u64::saturating_add);
        (!cells.is_empty()).then_some((cells, covered))
    })
}

fn legs(data: &Data, now: Duration, window: Window, service: Option<&Label>) -> Legs<LegFigures> {
    let mut sums: Legs<Sum<'_>> = Legs::default();
    for (cells, covered_ms) in cells(data, now, window) {
        for leg in Legs::<()>::BOTH {
            let sum = sums.get_mut(leg);
            let before = sum.count.tally.ended;
            for service in cells.iter().flat_map(|cell| Figures::covered(cell, service)) {
                sum.count.count(service.legs.get(leg));
                sum.latencies.push(&service.legs.get(leg).latency);
            }
            // Hosts are heard of for different times: each has a rate of its own, and those add up.
            let ended = sum.count.tally.ended - before;
            *sum.rate.get_or_insert(0.0) += Figures::rate(ended, covered_ms);
        }
    }
    Legs { server: sums.server.finish(), client: sums.client.finish() }
}

fn routes(data: &Data, now: Duration, window: Window, service: Option<&Label>) -> Vec<RouteFigures> {
    let mut routes: BTreeMap<&RouteKey, Legs<Sum<'_>>> = BTreeMap::new();
    for (cells, covered_ms) in cells(data, now, window) {
        for service in cells.iter().flat_map(|cell| Figures::covered(cell, service)) {
            for (key, legs) in &service.routes {
                let sums = routes.entry(key).or_default();
                for leg in Legs::<()>::BOTH {
                    let (sum, more) = (sums.get_mut(leg), legs.get(leg));
                    sum.count.count(more);
                    sum.latencies.push(&more.latency);
                    *sum.rate.get_or_insert(0.0) += Figures::rate(more.tally.ended, covered_ms);
                }
            }
        }
    }
    let mut routes: Vec<RouteFigures> = routes
        .into_iter()
        .map(|(key, sums)| RouteFigures {
            key: key.clone(),
            legs: Legs { server: sums.server.finish(), client: sums.client.finish() },
        })
        .collect();
    // What clients asked for counts first; a stable order of the keys decides the rest.
    let weight =
        |route: &RouteFigures| (route.legs.server.sum.tally.ended, route.legs.client.sum.tally.ended);
    routes.sort_by_key(|route| std::cmp::Reverse(weight(route)));
    routes
}

/// The requests of `service` in the window that were linked to their attempts.
fn linked(data: &Data, now: Duration, window: Window, service: &Label) -> Linked {
    let services = cells(data, now, window).flat_map(|(cells, _)| cells);
    services.filter_map(|cell| cell.services.get(service)).fold(Linked::default(), |sum, cell| Linked {
        requests: sum.requests.saturating_add(cell.linked.requests),
        attempts: sum.attempts.saturating_add(cell.linked.attempts),
    })
}

/// (requests, those answered from the cache, retries) of the proxies in the window; `None` without a proxy.
fn proxy(data: &Data, now: Duration, window: Window) -> Option<(u64, u64, u64)> {
    let sum =
        cells(data, now, window).flat_map(|(cells, _)| cells).fold((0_u64, 0_u64, 0_u64), |sum, cell| {
            (
                sum.0.saturating_add(cell.proxy_requests),
                sum.1.saturating_add(cell.proxy_from_cache),
                sum.2.saturating_add(cell.proxy_retries),
            )
        });
    (sum.0 > 0).then_some(sum)
}

fn unreached(legs: &Legs<LegFigures>, proxy: Option<(u64, u64, u64)>) -> Option<Unreached> {
    let (asked, tried) = (legs.server.sum.tally.ended, legs.client.sum.tally.ended);
    match proxy {
        Some((requests, from_cache, _)) => {
            Some(Unreached::Exactly((from_cache as f64 / requests as f64).min(1.0)))
        }
        None if asked > 0 && tried > 0 => {
            Some(Unreached::AtLeast((1.0 - tried as f64 / asked as f64).max(0.0)))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests;
