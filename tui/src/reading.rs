//! One snapshot of one agent, checked and cleaned: the border between the feed and everything else.
//!
//! Behind it every string is a [`Label`], every histogram is decoded, and every count is small enough to be
//! added up over thousands of agents without overflow.

use std::collections::BTreeMap;

use hosp_feed::{Cost, DecodeError, LatencyError, Leg, Outcome, Snapshot};

use crate::clean::Label;
use crate::history::Sparse;

/// Largest sum of counts that is believed: 2^53, which is 285 years at a million requests per second, exact as
/// an `f64`, and far enough below 2^64 to add up 2,048 agents.
pub const MAX_COUNT: u64 = 1 << 53;

/// Everything that one agent knew at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which agent on which host wrote it.
    pub agent: Identity,
    /// One more than in the reading before it.
    pub seq: u64,
    /// The agent's wall clock at the end of the interval, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// Length of the interval, in milliseconds, at least 1.
    pub interval_ms: u64,
    /// One entry for each series.
    pub rows: Vec<Row>,
    /// The observer's own accounting.
    pub books: Books,
    /// Newest requests of the interval, oldest first.
    pub requests: Vec<Request>,
    /// How many requests ended in the interval, of which `requests` shows some.
    pub requests_of: u64,
    /// Requests that were linked to their attempts, by service.
    pub linked: BTreeMap<Label, Linked>,
    /// What hosp-proxy counts; absent without a proxy.
    pub proxy: Option<ProxyTotals>,
    /// What observing costs.
    pub cost: Cost,
}

/// Which agent on which host this is. Another `pid` or start means that the agent was restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The host's name.
    pub host: Label,
    /// Version of hosp-agent.
    pub version: Label,
    /// Process id.
    pub pid: u32,
    /// When it began to observe, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_unix_ms: u64,
}

/// What a series counts; see [`hosp_feed::SeriesKey`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The side on which the requests were seen.
    pub leg: Leg,
    /// Server leg: who listens. Client leg: who connected.
    pub service: Label,
    /// Client leg: the address connected to.
    pub server_address: Label,
    /// The port listened on, or connected to.
    pub server_port: u16,
    /// Path template.
    pub route: Label,
    /// Method.
    pub method: Label,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// How the requests ended.
    pub outcome: Outcome,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it counts.
    pub key: Key,
    /// Whether these requests count towards the success ratio ([`hosp_feed::SeriesKey::counts`]).
    pub counts: bool,
    /// Whether they are successes ([`hosp_feed::SeriesKey::success`]).
    pub success: bool,
    /// Requests since the agent started.
    pub total: u64,
    /// Requests of the interval.
    pub count: u64,
    /// Durations of the interval's requests.
    pub latency: Sparse,
}

/// The observer's own accounting; see [`hosp_feed::Books`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Requests lost, at whatever stage.
    pub lost: u64,
    /// Times that the observer had to find a connection's thread again.
    pub resyncs: u64,
    /// Connections that it cannot read, by kind (`tls`, `http2`, `opaque`), those that occurred.
    pub blind: BTreeMap<Label, u64>,
}

/// One request of the live tail; see [`hosp_feed::Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    pub start_unix_ms: u64,
    /// The side on which it was seen.
    pub leg: Leg,
    /// The service.
    pub service: Label,
    /// The other end.
    pub peer: Label,
    /// Method.
    pub method: Label,
    /// Path template.
    pub route: Label,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// First byte of the request to last byte of the answer, in microseconds.
    pub duration_us: u64,
    /// Heads and body of the answer, in bytes.
    pub response_bytes: u64,
}

/// Requests of one service whose attempts at its origins are known one by one; see [`hosp_feed::Attempts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// The requests.
    pub requests: u64,
    /// Attempts of all of them.
    pub attempts: u64,
}

/// What hosp-proxy counts, cumulative since it started; the part of [`hosp_feed::ProxyFacts`] that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyTotals {
    /// Requests answered.
    pub requests: u64,
    /// Requests answered from what the cache held.
    pub from_cache: u64,
    /// Retries made.
    pub retries: u64,
}

/// Why a line of the feed is no reading.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The line is no snapshot of this version.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A histogram is damaged.
    #[error("the latency of one series is unreadable: {0}")]
    Latency(#[from] LatencyError),
    /// The counts add up to more than [`MAX_COUNT`].
    #[error("its counts of {0} are impossibly large")]
    Count(&'static str),
}

impl Reading {
    /// The reading that a line of the feed holds.
    pub fn parse(line: &[u8]) -> Result<Self, ReadingError> {
        Self::check(hosp_feed::decode(line)?)
    }

    /// The reading that a snapshot holds.
    pub fn check(snapshot: Snapshot) -> Result<Self, ReadingError> {
        let rows = snapshot.series.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        believable("requests", rows.iter().flat_map(|r| [r.total, r.count]))?;
        let books = snapshot.books;
        believable("lost requests", books.lost.values().copied())?;
        believable("requests seen", [books.seen])?;
        believable("requests recorded", [books.recorded, books.open])?;
        believable("resyncs", [books.resyncs])?;
        believable("connections", books.connections.values().copied())?;
        Ok(Self {
            agent: Identity {
                host: Label::clean(&snapshot.agent.host),
                version: Label::clean(&snapshot.agent.version),
                pid: snapshot.agent.pid,
                started_unix_ms: snapshot.agent.started_unix_ms,
            },
            seq: snapshot.seq,
            unix_ms: snapshot.unix_ms,
            interval_ms: snapshot.interval_ms.clamp(1, 3_600_000),
            rows,
            books: Books {
                lost: books.lost_total(),
                resyncs: books.resyncs,
                blind: blind(&books.connections),
            },
            requests: snapshot.requests.iter().map(request).collect(),
            requests_of: snapshot.requests_of.min(MAX_COUNT),
            linked: linked(&snapshot.attempts)?,
            proxy: snapshot.proxy.as_ref().map(proxy).transpose()?,
            cost: snapshot.cost,
        })
    }
}

fn believable(of: &'static str, counts: impl IntoIterator<Item = u64>) -> Result<(), ReadingError> {
    counts
        .into_iter()
        .try_fold(0_u64, |sum, n| sum.checked_add(n).filter(|&sum| sum <= MAX_COUNT))
        .map(|_| ())
        .ok_or(ReadingError::Count(of))
}

fn row(series: hosp_feed::Series) -> Result<Row, ReadingError> {
    let latency = series.latency.map(|encoded| encoded.decode()).transpose()?;
    let (counts, success, key) = (series.key.counts(), series.key.success(), series.key);
    Ok(Row {
        key: Key {
            leg: key.leg,
            service: Label::clean(&key.service),
            server_address: Label::clean(&key.server_address),
            server_port: key.server_port,
            route: Label::clean(&key.route),
            method: Label::clean(&key.method),
            status: key.status,
            outcome: key.outcome,
        },
        counts,
        success,
        total: series.total,
        count: series.count,
        latency: latency.as_ref().map(Sparse::from).unwrap_or_default(),
    })
}

fn request(request: &hosp_feed::Request) -> Request {
    Request {
        start_unix_ms: request.start_unix_ms,
        leg: request.leg,
        service: Label::clean(&request.service),
        peer: Label::clean(&request.peer),
        method: Label::clean(&request.method),
        route: Label::clean(&request.route),
        status: request.status,
        outcome: request.outcome,
        duration_us: request.duration_us,
        response_bytes: request.response_bytes,
    }
}

fn linked(attempts: &[hosp_feed::Attempts]) -> Result<BTreeMap<Label, Linked>, ReadingError> {
    believable("linked requests", attempts.iter().flat_map(|one| one.requests))?;
    believable("attempts", attempts.iter().map(|one| one.attempts))?;
    let mut linked: BTreeMap<Label, Linked> = BTreeMap::new();
    for one in attempts {
        let sum = linked.entry(Label::clean(&one.service)).or_default();
        sum.requests += one.total();
        sum.attempts += one.attempts;
    }
    Ok(linked)
}

/// Connections that are not `http1`, where there are any.
fn blind(connections: &BTreeMap<String, u64>) -> BTreeMap<Label, u64> {
    connections
        .iter()
        .filter(|(kind, count)| *kind != "http1" && **count > 0)
        .map(|(kind, &count)| (Label::clean(kind), count))
        .collect()
}

/// Only a `hit` spares the origin a request; the other results are reasons to forward one, named after those of
/// `Cache-Status` (RFC 9211 §2.2: `stale` is one of them).
fn proxy(facts: &hosp_feed::ProxyFacts) -> Result<ProxyTotals, ReadingError> {
    believable("the proxy's requests", [facts.requests])?;
    believable("the proxy's cache look-ups", facts.cache.values().copied())?;
    believable("the proxy's retries", facts.retries.values().copied())?;
    Ok(ProxyTotals {
        requests: facts.requests,
        from_cache: facts.cache.get("hit").copied().unwrap_or(0),
        retries: facts.retries.values().sum(),
    })
}

#[cfg(test)]
mod tests;
