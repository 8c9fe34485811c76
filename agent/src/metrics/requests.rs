//! The families that count requests: one histogram for each leg, and the totals.

use std::collections::BTreeMap;

use hosp_agent_ebpf::Leg;
use prometheus::proto::{Metric, MetricFamily};

use super::family::{self, counter, counters, histograms};
use super::leg;
use crate::live;
use crate::series::{Bytes, Counts, Labels, Shared};

/// What both histograms and the totals have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Common<'a> {
    service: &'a str,
    port: u16,
    method: &'static str,
    status: u16,
    error_type: &'static str,
}

impl<'a> Common<'a> {
    fn of(labels: &'a Labels) -> Self {
        Self {
            service: &labels.service,
            port: labels.port,
            method: labels.method.as_str(),
            status: labels.status,
            error_type: live::outcome(labels.outcome).error_type(),
        }
    }

    /// Makes a metric of these labels and one more.
    fn labelled(&self, own: (&str, &str), make: impl FnOnce(family::Labels<'_>) -> Metric) -> Metric {
        make(&[
            own,
            ("service", self.service),
            ("server_port", &self.port.to_string()),
            ("http_request_method", self.method),
            ("http_response_status_code", &self.status.to_string()),
            ("error_type", self.error_type),
        ])
    }
}

/// One counter for each part of what passed, by leg and service.
fn parts(bytes: &BTreeMap<(&str, &str), Bytes>, of: fn(&Bytes) -> [(&'static str, u64); 2]) -> Vec<Metric> {
    let metric = |leg, service, (part, n): (&str, u64)| {
        counter(&[("leg", leg), ("service", service), ("part", part)], n as f64)
    };
    let metrics =
        bytes.iter().flat_map(|((leg, service), bytes)| of(bytes).map(|part| metric(leg, service, part)));
    metrics.collect()
}

/// All families that count requests. Families without a request are empty.
pub(super) fn families(series: &Shared) -> Vec<MetricFamily> {
    let series: Vec<_> = series.read().into_iter().map(|cells| (cells.read(), cells)).collect();
    let mut totals: BTreeMap<(&str, Common<'_>), u64> = BTreeMap::new();
    let mut bytes: BTreeMap<(&str, &str), Bytes> = BTreeMap::new();
    let mut server: BTreeMap<(Common<'_>, &str), Counts> = BTreeMap::new();
    let mut client: BTreeMap<(Common<'_>, &str), Counts> = BTreeMap::new();
    for (counts, cells) in &series {
        let labels = &cells.labels;
        let common = Common::of(labels);
        *totals.entry((leg(labels.leg), common)).or_default() += counts.total();
        bytes.entry((leg(labels.leg), &labels.service)).or_default().add(&counts.bytes);
        match labels.leg {
            Leg::Server => server.entry((common, &labels.route)).or_default().add(counts),
            Leg::Client => client.entry((common, &labels.address)).or_default().add(counts),
        }
    }
    let totals = totals
        .into_iter()
        .map(|((leg, common), total)| common.labelled(("leg", leg), |labels| counter(labels, total as f64)));
    let durations = |own: &'static str, series: BTreeMap<(Common<'_>, &str), Counts>| {
        series
            .into_iter()
            .map(|((common, value), counts)| {
                common.labelled((own, value), |labels| family::durations(labels, &counts))
            })
            .collect()
    };
    vec![
        histograms(
            "http_server_request_duration_seconds",
            "Duration of HTTP requests on the sockets that this host accepted, from their first byte to the last byte of the answer.",
            durations("http_route", server),
        ),
        histograms(
            "http_client_request_duration_seconds",
            "Duration of HTTP requests on the sockets that this host opened, from their first byte to the last byte of the answer.",
            durations("server_address", client),
        ),
        counters(
            "hosp_agent_requests_total",
            "HTTP requests observed, by their final status; status 0 and an error_type where there was no answer.",
            totals.collect(),
        ),
        counters(
            "hosp_agent_request_bytes_total",
            "Bytes of requests, heads and bodies, as far as they had passed when the request ended.",
            parts(&bytes, |bytes| [("head", bytes.request_head), ("body", bytes.request_body)]),
        ),
        counters(
            "hosp_agent_response_bytes_total",
            "Bytes of answers, heads (interim ones included) and bodies.",
            parts(&bytes, |bytes| [("head", bytes.response_head), ("body", bytes.response_body)]),
        ),
    ]
}
