//! What happened between two readings of one agent, restarts included.

use std::collections::{BTreeMap, HashMap};

use super::Cell;
use crate::clean::Label;
use crate::reading::{Identity, Key, Linked, ProxyTotals, Reading, Row};

/// The totals of the last reading of one agent: what the next one is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Which agent it was.
    pub agent: Identity,
    unix_ms: u64,
    totals: HashMap<Key, u64>,
    linked: BTreeMap<Label, Linked>,
    proxy: Option<ProxyTotals>,
}

/// How a reading goes on from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first of this agent.
    First,
    /// The same agent: totals have grown since.
    Next,
    /// Another process, or totals that fell: they start again.
    Restarted,
}

impl Known {
    /// What a reading says, to be compared with the next one.
    pub fn of(reading: &Reading) -> Self {
        let mut totals = HashMap::with_capacity(reading.rows.len());
        for row in &reading.rows {
            // Two series may have become one when their strings were cleaned.
            *totals.entry(row.key.clone()).or_default() += row.total;
        }
        let linked = reading.linked.clone();
        Self { agent: reading.agent.clone(), unix_ms: reading.unix_ms, totals, linked, proxy: reading.proxy }
    }

    /// How `next` goes on from `known`, and what happened in between.
    ///
    /// Between two readings of one agent that is the growth of the totals, so that readings missed on the way
    /// lose no request. After a first reading or a restart it is what the agent counted in its last interval.
    pub fn advance(known: Option<&Self>, next: &Reading) -> (Step, Cell) {
        let step = match known {
            None => Step::First,
            Some(known) if known.continued_by(next) => Step::Next,
            Some(_) => Step::Restarted,
        };
        let known = known.filter(|_| step == Step::Next);
        let mut cell = Cell { covered_ms: covered(known, next), ..Cell::default() };
        let mut counted = HashMap::new();
        for row in &next.rows {
            let count = match known {
                Some(known) => growth(known, &mut counted, row),
                None => row.count,
            };
            add(&mut cell, row, count);
        }
        if let Some(known) = known {
            add_linked(&mut cell, &known.linked, &next.linked);
        }
        add_proxy(&mut cell, known.and_then(|known| known.proxy), next.proxy);
        cell.cap();
        (step, cell)
    }

    fn continued_by(&self, next: &Reading) -> bool {
        let mut totals: HashMap<&Key, u64> = HashMap::with_capacity(next.rows.len());
        next.rows.iter().for_each(|row| *totals.entry(&row.key).or_default() += row.total);
        let same =
            (self.agent.pid, self.agent.started_unix_ms) == (next.agent.pid, next.agent.started_unix_ms);
        same && totals.iter().all(|(key, &total)| self.totals.get(*key).is_none_or(|&before| before <= total))
    }
}

/// How much the total of `row` has grown; for a key that occurs several times, only the part that the rows
/// before it (`counted`) do not explain.
fn growth<'a>(known: &Known, counted: &mut HashMap<&'a Key, u64>, row: &'a Row) -> u64 {
    let so_far = counted.entry(&row.key).or_default();
    let before = known.totals.get(&row.key).copied().unwrap_or(0);
    let grown_by = |total: u64| total.saturating_sub(before);
    let growth = grown_by(*so_far + row.total) - grown_by(*so_far);
    *so_far += row.total;
    growth
}

/// Milliseconds that `next` covers. A wall clock that was set in between says nothing: then one interval.
fn covered(known: Option<&Known>, next: &Reading) -> u64 {
    let hour = 3_600_000;
    known
        .and_then(|known| next.unix_ms.checked_sub(known.unix_ms))
        .filter(|elapsed| (1..=hour).contains(elapsed))
        .unwrap_or(next.interval_ms)
}

fn add(cell: &mut Cell, row: &Row, count: u64) {
    if count == 0 && row.latency.is_empty() {
        return;
    }
    let service = cell.services.entry(row.key.service.clone()).or_default();
    let route = service.routes.entry((row.key.method.clone(), row.key.route.clone())).or_default();
    let places = [
        (service.legs.get_mut(row.key.leg), row.latency.clone()),
        (route.get_mut(row.key.leg), row.latency.coarse()),
    ];
    for (leg, latency) in places {
        leg.tally.ended += count;
        leg.tally.counted += if row.counts { count } else { 0 };
        leg.tally.succeeded += if row.success { count } else { 0 };
        leg.classes[super::LegCell::class(row.key.status)] += count;
        leg.latency.merge(&latency);
    }
}

/// Requests that were linked to their attempts since.
fn add_linked(cell: &mut Cell, before: &BTreeMap<Label, Linked>, next: &BTreeMap<Label, Linked>) {
    for (service, now) in next {
        let before = before.get(service).copied().unwrap_or_default();
        let requests = now.requests.saturating_sub(before.requests);
        if requests > 0 {
            let attempts = now.attempts.saturating_sub(before.attempts);
            cell.services.entry(service.clone()).or_default().linked = Linked { requests, attempts };
        }
    }
}

/// The proxy restarts on its own: whichever of its totals fell starts again from 0. Its totals when first met
/// are of times long past, and say nothing about now.
fn add_proxy(cell: &mut Cell, before: Option<ProxyTotals>, next: Option<ProxyTotals>) {
    let (Some(before), Some(next)) = (before, next) else { return };
    let before = if next.requests < before.requests { ProxyTotals::default() } else { before };
    cell.proxy_requests = next.requests.saturating_sub(before.requests);
    cell.proxy_from_cache = next.from_cache.saturating_sub(before.from_cache);
    cell.proxy_retries = next.retries.saturating_sub(before.retries);
}

#[cfg(test)]
mod tests;
