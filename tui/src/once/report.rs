//! What `--once` tells: the JSON object that scripts may rely on.
//!
//! Totals are cumulative since each agent started and summed over all agents, so that they match the agents'
//! `/metrics`. Fields may be added; those here stay. Times are in seconds, shares from 0 to 1, and what is not
//! known is `null`.

use std::collections::BTreeMap;

use hosp_feed::{Attempts, Focus, Latency, Leg, ProxyFacts, Series, Snapshot, Tally, focus, tally};
use serde::Serialize;

use crate::feed::FeedError;
use crate::legs::Legs;

/// What `--once` tells.
#[derive(Debug, Serialize)]
pub struct Report {
    /// 1; changes when a script written for it would misunderstand the report.
    pub version: u32,
    /// Every agent asked, in the order of the command line.
    pub agents: Vec<AgentReport>,
    /// The service that `legs` is about; `null` for all services.
    pub service: Option<String>,
    /// Both legs of that service.
    pub legs: Legs<LegReport>,
    /// Requests of the client leg for each one of the server leg.
    pub attempts_per_request: Option<f64>,
    /// Of that service's requests that an id links to their attempts: how many took 0 to 5 attempts, and more; `null`
    /// without such a request.
    pub requests_by_attempts: Option<[u64; Attempts::BUCKETS]>,
    /// All requests of all services, like `hosp_agent_requests_total`.
    pub requests: Vec<RequestsReport>,
    /// The observers' own accounting.
    pub books: BooksReport,
    /// What the proxies say of themselves.
    pub proxies: Vec<ProxyFacts>,
}

/// One agent asked.
#[derive(Debug, Serialize)]
pub struct AgentReport {
    /// Its address, as the command line gave it.
    pub address: String,
    /// Why it is not part of the report; `null` when it is.
    pub error: Option<String>,
    /// The host's name.
    pub host: Option<String>,
    /// Version of hosp-agent.
    pub version: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// When it began to observe, in seconds since 1970-01-01T00:00:00Z.
    pub started_seconds: Option<f64>,
    /// When it wrote the snapshot, likewise.
    pub time_seconds: Option<f64>,
}

/// One leg.
#[derive(Debug, Serialize)]
pub struct LegReport {
    /// Requests that ended.
    pub requests: u64,
    /// Those that count towards success: all but those whose client went away.
    pub counted: u64,
    /// Those that succeeded: a whole answer with a status below 500.
    pub succeeded: u64,
    /// `succeeded` / `counted`.
    pub success: Option<f64>,
    /// Requests by final status; `0` for those without one.
    pub statuses: BTreeMap<String, u64>,
    /// The agents' last interval.
    pub interval: IntervalReport,
}

/// Requests that ended in the agents' last interval.
#[derive(Debug, Serialize)]
pub struct IntervalReport {
    /// How many.
    pub requests: u64,
    /// Their latencies.
    pub p50_seconds: Option<f64>,
    /// See `p50_seconds`.
    pub p90_seconds: Option<f64>,
    /// See `p50_seconds`.
    pub p99_seconds: Option<f64>,
    /// See `p50_seconds`.
    pub p999_seconds: Option<f64>,
}

/// Requests that are alike, with the labels of `hosp_agent_requests_total`.
#[derive(Debug, Serialize)]
pub struct RequestsReport {
    /// `server` or `client`.
    pub leg: Leg,
    /// Server leg: who listens. Client leg: who connected.
    pub service: String,
    /// The port listened on, or connected to.
    pub server_port: u16,
    /// Method.
    pub method: String,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// Why there was no whole answer; empty when there was one.
    pub error_type: &'static str,
    /// How many.
    pub requests: u64,
}

/// The observers' own accounting; see [`hosp_feed::Books`].
#[derive(Debug, Default, Serialize)]
pub struct BooksReport {
    /// Requests whose request line passed a socket.
    pub seen: u64,
    /// Requests that became a record.
    pub recorded: u64,
    /// Requests that did not, by stage.
    pub lost: BTreeMap<String, u64>,
    /// Sum of `lost`.
    pub lost_total: u64,
    /// Requests waiting for the end of their answer.
    pub open: u64,
    /// Times that a connection's thread was lost.
    pub resyncs: u64,
    /// Connections by kind.
    pub connections: BTreeMap<String, u64>,
    /// Whether seen = recorded + lost + open on every host.
    pub balanced: bool,
}

impl Report {
    /// The report of all answers, about `wanted` or the service that [`focus`] picks.
    pub(super) fn of(answers: &[(String, Result<Snapshot, FeedError>)], wanted: Option<&str>) -> Self {
        let snapshots: Vec<&Snapshot> =
            answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).collect();
        let series: Vec<Series> = snapshots.iter().flat_map(|s| &s.series).cloned().collect();
        let focus = wanted.map_or_else(|| focus(&series), |name| Focus::Service(name.to_owned()));
        let legs = Legs::make(|side| leg(&series, &focus, side));
        let (asked, tried) = (legs.server.requests, legs.client.requests);
        let service = match focus {
            Focus::Service(name) => Some(name),
            Focus::Everything => None,
        };
        Self {
            version: 1,
            agents: answers.iter().map(|(address, answer)| agent(address, answer)).collect(),
            attempts_per_request: (service.is_some() && asked > 0 && tried > 0)
                .then(|| tried as f64 / asked as f64),
            requests_by_attempts: service.as_deref().and_then(|service| by_attempts(&snapshots, service)),
            service,
            legs,
            requests: requests(&series),
            books: books(&snapshots),
            proxies: snapshots.iter().filter_map(|s| s.proxy.clone()).collect(),
        }
    }

    /// The report as one JSON object, with a newline at its end.
    pub(super) fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("the report has string keys only") + "\n";
        if !text.contains(unescaped) {
            return text;
        }
        let piece = |c: char| if unescaped(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
        text.chars().map(piece).collect()
    }
}

/// Control characters that JSON does not ask to be escaped (RFC 8259 §7), and that a terminal obeys: DEL and the C1
/// set. They occur within strings only.
fn unescaped(c: char) -> bool {
    ('\u{7f}'..='\u{9f}').contains(&c)
}

fn agent(address: &str, answer: &Result<Snapshot, FeedError>) -> AgentReport {
    let known = answer.as_ref().ok();
    let seconds = |unix_ms: u64| unix_ms as f64 / 1000.0;
    AgentReport {
        address: address.to_owned(),
        error: answer.as_ref().err().map(ToString::to_string),
        host: known.map(|s| s.agent.host.clone()),
        version: known.map(|s| s.agent.version.clone()),
        pid: known.map(|s| s.agent.pid),
        started_seconds: known.map(|s| seconds(s.agent.started_unix_ms)),
        time_seconds: known.map(|s| seconds(s.unix_ms)),
    }
}

fn leg(series: &[Series], focus: &Focus, leg: Leg) -> LegReport {
    let Tally { ended, counted, succeeded } = tally(series, focus, leg);
    let (mut statuses, mut latency, mut requests) = (BTreeMap::new(), Latency::new(), 0);
    for series in series.iter().filter(|series| series.key.leg == leg && focus.covers(series)) {
        *statuses.entry(series.key.status.to_string()).or_default() += series.total;
        requests += series.count;
        // Readings with a histogram that cannot be decoded have been refused.
        if let Some(Ok(more)) = series.latency.as_ref().map(|encoded| encoded.decode()) {
            latency.merge(&more);
        }
    }
    let quantile = |share| (latency.count() > 0).then(|| latency.quantile(share) as f64 / 1e6);
    LegReport {
        requests: ended,
        counted,
        succeeded,
        success: Tally { ended, counted, succeeded }.success(),
        statuses,
        interval: IntervalReport {
            requests,
            p50_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
            p99_seconds: quantile(0.99),
            p999_seconds: quantile(0.999),
        },
    }
}

/// The requests of `service` by their attempts, of all agents together.
fn by_attempts(snapshots: &[&Snapshot], service: &str) -> Option<[u64; Attempts::BUCKETS]> {
    let mut sum = [0_u64; Attempts::BUCKETS];
    for one in snapshots.iter().flat_map(|s| &s.attempts).filter(|one| one.service == service) {
        sum.iter_mut().zip(one.requests).for_each(|(sum, n)| *sum = sum.saturating_add(n));
    }
    sum.iter().any(|&n| n > 0).then_some(sum)
}

fn requests(series: &[Series]) -> Vec<RequestsReport> {
    type Labels<'a> = (Leg, &'a str, u16, &'a str, u16, &'static str);
    let mut sums: BTreeMap<Labels<'_>, u64> = BTreeMap::new();
    for Series { key, total, .. } in series {
        let labels =
            (key.leg, &*key.service, key.server_port, &*key.method, key.status, key.outcome.error_type());
        *sums.entry(labels).or_default() += total;
    }
    let report = |((leg, service, server_port, method, status, error_type), requests): (Labels<'_>, u64)| {
        RequestsReport {
            leg,
            service: service.to_owned(),
            server_port,
            method: method.to_owned(),
            status,
            error_type,
            requests,
        }
    };
    sums.into_iter().map(report).collect()
}

fn books(snapshots: &[&Snapshot]) -> BooksReport {
    let mut sum = BooksReport { balanced: true, ..BooksReport::default() };
    for books in snapshots.iter().map(|snapshot| &snapshot.books) {
        sum.seen += books.seen;
        sum.recorded += books.recorded;
        sum.open += books.open;
        sum.resyncs += books.resyncs;
        sum.balanced &= books.balanced();
        for (from, to) in [(&books.lost, &mut sum.lost), (&books.connections, &mut sum.connections)] {
            from.iter().for_each(|(name, n)| *to.entry(name.clone()).or_default() += n);
        }
    }
    sum.lost_total = sum.lost.values().sum();
    sum
}

#[cfg(test)]
mod tests;
