//! The families by which the observer accounts for itself: books, connections, losses, BPF run times.

use std::collections::BTreeMap;
use std::sync::Arc;

use hosp_feed::{Attempts, ProgramCost};
use prometheus::proto::{Metric, MetricFamily};

use super::family::{Labels, counter, counters, gauge, gauges, histogram, histograms};
use super::leg;
use crate::attempts::Unlinked;
use crate::books::{Audit, CLASSES, LegBooks};
use crate::owner::Status;
use crate::unread::{self, Unread};

/// All families of the observer's own accounting. Every stage and kind is there from the start, at 0.
pub(super) fn families(status: &Status) -> Vec<MetricFamily> {
    let audit = &status.audit;
    let books = &audit.books;
    let by_leg = |make: fn(Labels<'_>, f64) -> Metric, value: fn(&LegBooks) -> u64| {
        let legs = audit.legs.iter().filter_map(|(side, books)| Some((leg((*side)?), value(books))));
        legs.map(|(leg, n)| make(&[("leg", leg)], n as f64)).collect()
    };
    let by_name = |label: &str, values: &BTreeMap<String, u64>| {
        values.iter().map(|(name, n)| counter(&[(label, name)], *n as f64)).collect()
    };
    let by_program = |value: fn(&ProgramCost) -> f64| {
        let programs = status.programs.iter();
        programs.map(|cost| counter(&[("program", &cost.program)], value(cost))).collect()
    };
    let Unlinked { no_id, repeated_id, overflow } = status.losses.unlinked;
    let unlinked = [("no_id", no_id), ("repeated_id", repeated_id), ("overflow", overflow)];
    let overflow = status.losses.overflow.iter();
    vec![
        counters(
            "hosp_agent_requests_seen_total",
            "Request lines that passed a socket, counted in the kernel.",
            by_leg(counter, |books| books.seen),
        ),
        counters(
            "hosp_agent_requests_recorded_total",
            "Requests that became a record, counted in the kernel.",
            by_leg(counter, |books| books.recorded),
        ),
        counters(
            "hosp_agent_requests_ended_total",
            "Requests that ended, by class of status (none without one), counted in the kernel: exact even when the ring \
             has no room for their records.",
            by_class(audit),
        ),
        gauges(
            "hosp_agent_requests_open",
            "Requests seen that are neither recorded nor lost yet.",
            by_leg(gauge, |books| books.open),
        ),
        counters(
            "hosp_agent_requests_lost_total",
            "Requests seen that will never become a record, by the stage that lost them.",
            by_name("stage", &books.lost),
        ),
        counters(
            "hosp_agent_connections_total",
            "Connections by what they speak. All but http1 are blind spots.",
            by_name("kind", &books.connections),
        ),
        counters(
            "hosp_agent_connections_untracked_total",
            "Connections that the kernel had no memory to observe.",
            vec![counter(&[], audit.untracked_connections as f64)],
        ),
        counters(
            "hosp_agent_resyncs_total",
            "Times that the observer lost a connection's thread and had to find it again.",
            vec![counter(&[], books.resyncs as f64)],
        ),
        gauges(
            "hosp_agent_books_balanced",
            "1 when every request seen is recorded, lost or open, and every record has arrived; else 0.",
            vec![gauge(&[], f64::from(u8::from(audit.balanced)))],
        ),
        counters(
            "hosp_agent_books_unbalanced_total",
            "Audits, one a second and one a scrape, that found the books out of balance.",
            vec![counter(&[], audit.failed as f64)],
        ),
        counters(
            "hosp_agent_records_bad_total",
            "Records from the kernel that were not understood.",
            vec![counter(&[], status.losses.bad_records as f64)],
        ),
        counters(
            "hosp_agent_requests_unlogged_total",
            "Requests missing in the request log: its writer was too slow, or the system refused to write.",
            vec![counter(&[], status.losses.unlogged as f64)],
        ),
        histograms(
            "hosp_agent_attempts_per_request",
            "Attempts at the origins for each request that carries an id; 0 where it was answered without one. \
             Counted 2 s after the answer.",
            status.attempts.iter().map(attempts).collect(),
        ),
        histograms(
            "hosp_agent_request_unread_seconds",
            "How long requests lay in the kernel before their server read from the socket; with --unread only.",
            status.unread.iter().map(unread).collect(),
        ),
        counters(
            "hosp_agent_attempts_unlinked_total",
            "Requests of services that ask origins, but whose own attempts are not known, by the reason.",
            unlinked.map(|(reason, n)| counter(&[("reason", reason)], n as f64)).into(),
        ),
        counters(
            "hosp_agent_cardinality_overflow_total",
            "Requests counted under _other, by what there was too much of.",
            overflow.map(|(kind, n)| counter(&[("kind", kind)], *n as f64)).collect(),
        ),
        counters(
            "hosp_agent_bpf_run_seconds_total",
            "Time that the BPF programs ran.",
            by_program(|cost| cost.seconds),
        ),
        counters(
            "hosp_agent_bpf_runs_total",
            "How often the BPF programs ran.",
            by_program(|cost| cost.runs as f64),
        ),
    ]
}

/// The distribution of one service's attempts.
fn attempts(of: &Attempts) -> Metric {
    let bounds = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    histogram(&[("service", &of.service)], &bounds, &of.requests, of.attempts as f64)
}

/// The distribution of one service's times.
fn unread((service, unread): &(Arc<str>, Unread)) -> Metric {
    histogram(&[("service", service)], &unread::BOUNDS, &unread.buckets, unread.sum)
}

/// Records of each leg by class of status.
fn by_class(audit: &Audit) -> Vec<Metric> {
    let legs = audit.legs.iter().filter_map(|(side, books)| Some((leg((*side)?), books)));
    legs.flat_map(|(leg, books)| {
        let classes = CLASSES.iter().zip(books.classes);
        classes.map(move |(class, n)| counter(&[("leg", leg), ("class", class)], n as f64))
    })
    .collect()
}
