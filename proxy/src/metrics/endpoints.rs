//! What `/metrics` shows of origins and endpoints, read when it is asked for.

use std::time::Instant;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::endpoint::Membership;

/// The state of all origins and endpoints.
pub(super) fn families(membership: &Membership) -> Vec<MetricFamily> {
    let now = Instant::now();
    let in_flight =
        gauge("hosp_proxy_origin_requests_in_flight", "Requests under way at each origin.", &["origin"]);
    for upstream in &membership.upstreams {
        in_flight.with_label_values(&[upstream.name()]).set(membership.in_flight(upstream) as i64);
    }
    let labels = ["origin", "endpoint"];
    let healthy = gauge(
        "hosp_proxy_endpoint_healthy",
        "Whether an endpoint takes requests: 0 while it is ejected or fails its checks.",
        &labels,
    );
    let limit = gauge(
        "hosp_proxy_endpoint_concurrency_limit",
        "How many requests may be under way at an endpoint at once, where a limit was found.",
        &labels,
    );
    for endpoint in membership.list().iter() {
        let address = endpoint.address.to_string();
        let values = [endpoint.upstream.name(), address.as_str()];
        healthy.with_label_values(&values).set(i64::from(endpoint.health.is_fit(now)));
        if endpoint.limit.now() != u32::MAX {
            limit.with_label_values(&values).set(i64::from(endpoint.limit.now()));
        }
    }
    [in_flight, healthy, limit].iter().flat_map(Collector::collect).collect()
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("names and labels in this file are valid")
}
