//! What is counted, under the names that dashboards depend on.
//!
//! Counters are looked up by label once, ahead; the path of a request only increments handles. All of them
//! exist from the start at 0, so that a rate over the first failure is right.

mod endpoints;
pub mod requests;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::breaker::Cause;
use crate::cache::CacheResult;
use crate::endpoint::Membership;
use crate::exchange::NoEntry;
use crate::retry::{Denied, Reason};

/// Bounds of the duration histogram, in seconds: those that OpenTelemetry advises for HTTP, extended at both
/// ends for cache hits and for an origin that takes up to 20 s.
pub const BUCKETS: [f64; 17] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0];

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The new configuration counts.
    Applied,
    /// The old one stays.
    Refused,
}

impl ReloadResult {
    /// Every result, in the order of [`ReloadResult::index`].
    pub const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    /// The value of the `result` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }

    /// Position in [`ReloadResult::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What became of a hedge: a try beside one that is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    /// It was made.
    Made,
    /// It brought the answer that the client got. It counts as made, too.
    Won,
    /// The budget did not allow it.
    Denied,
}

impl Hedged {
    /// The values of the `result` label, in the order of the variants.
    pub const NAMES: [&str; 3] = ["made", "won", "denied"];
}

/// Every counter of the process, shared by all workers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Answers by method and status; status `0` when the client went away before one.
    pub requests: IntCounterVec,
    /// Time from a request's head to the end of its answer.
    pub duration: HistogramVec,
    /// Requests under way.
    pub in_flight: IntGauge,
    /// Client connections open.
    pub connections: IntGauge,
    /// Tries by origin and outcome.
    pub attempts: IntCounterVec,
    /// Cache look-ups by result, in the order of [`CacheResult::ALL`].
    pub cache: [IntCounter; CacheResult::ALL.len()],
    /// Answers stored.
    pub stored: IntCounter,
    /// Bytes and number of answers stored, brought up to date at each scrape.
    pub cache_bytes: IntGauge,
    /// Resources with stored answers.
    pub cache_entries: IntGauge,
    /// Retries made, in the order of [`Reason::ALL`].
    pub retries: [IntCounter; Reason::ALL.len()],
    /// What became of hedges, in the order of [`Hedged`].
    pub hedges: [IntCounter; Hedged::NAMES.len()],
    /// Retries wanted but not made, in the order of [`Denied::ALL`].
    pub denied: [IntCounter; Denied::ALL.len()],
    /// Requests that no try was made for, in the order of [`NoEntry::NAMES`].
    pub refused: [IntCounter; NoEntry::NAMES.len()],
    /// Endpoints taken out because of what requests met there.
    pub ejections: IntCounter,
    /// Look-ups of names that brought no address.
    pub lookups_failed: IntCounter,
    breaker: IntGaugeVec,
    /// Answers cut off in the middle of their body by the origin.
    pub cut: IntCounter,
    /// Reloads of the configuration, in the order of [`ReloadResult::ALL`].
    pub reloads: [IntCounter; ReloadResult::ALL.len()],
    /// Answers that were continued after their origin had cut them off.
    pub resumed: IntCounter,
    /// Lines of the access log dropped because its reader was too slow.
    pub log_dropped: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let r = Registry::new();
        let cache = vec(&r, "hosp_proxy_cache_requests_total", "Cache look-ups by result.", &["result"]);
        let retries = vec(&r, "hosp_proxy_retries_total", "Retries made, by what went wrong.", &["reason"]);
        let hedges = vec(
            &r,
            "hosp_proxy_hedges_total",
            "Tries made beside a slow one, how many of them won, and how many the budget denied.",
            &["result"],
        );
        let denied = vec(
            &r,
            "hosp_proxy_retries_denied_total",
            "Retries wanted but not made, by what stood against them.",
            &["reason"],
        );
        let reloads =
            vec(&r, "hosp_proxy_reloads_total", "Reloads of the configuration by result.", &["result"]);
        let refused = vec(
            &r,
            "hosp_proxy_refused_total",
            "Requests for which no further try was made, by why the origins were not asked.",
            &["reason"],
        );
        let build = IntGaugeVec::new(
            Opts::new("hosp_proxy_build_info", "Always 1; the version is in the label."),
            &["version"],
        );
        let build = registered(&r, build);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            requests: vec(
                &r,
                "hosp_proxy_requests_total",
                "Requests by method and status answered; status 0 when the client went away before an answer.",
                &["http_request_method", "http_response_status_code"],
            ),
            duration: registered(
                &r,
                HistogramVec::new(
                    HistogramOpts::new(
                        "hosp_proxy_request_duration_seconds",
                        "Time from a request's head to the end of its answer.",
                    )
                    .buckets(BUCKETS.to_vec()),
                    &["http_request_method"],
                ),
            ),
            in_flight: gauge(&r, "hosp_proxy_requests_in_flight", "Requests under way."),
            connections: gauge(&r, "hosp_proxy_client_connections", "Client connections open."),
            attempts: vec(
                &r,
                "hosp_proxy_attempts_total",
                "Tries sent to an origin, by origin and outcome.",
                &["origin", "outcome"],
            ),
            cache: CacheResult::ALL.map(|result| cache.with_label_values(&[result.name()])),
            stored: counter(&r, "hosp_proxy_cache_stored_total", "Answers stored in the cache."),
            cache_bytes: gauge(&r, "hosp_proxy_cache_bytes", "Memory of the answers stored in the cache."),
            cache_entries: gauge(
                &r,
                "hosp_proxy_cache_entries",
                "Resources with answers stored in the cache.",
            ),
            refused: NoEntry::NAMES.map(|reason| refused.with_label_values(&[reason])),
            ejections: counter(
                &r,
                "hosp_proxy_endpoint_ejections_total",
                "Endpoints taken out for a while because of what requests met there.",
            ),
            lookups_failed: counter(
                &r,
                "hosp_proxy_dns_failures_total",
                "Look-ups of an origin's name that brought no address.",
            ),
            breaker: breaker(&r),
            retries: Reason::ALL.map(|reason| retries.with_label_values(&[reason.name()])),
            hedges: Hedged::NAMES.map(|result| hedges.with_label_values(&[result])),
            denied: Denied::ALL.map(|reason| denied.with_label_values(&[reason.name()])),
            cut: counter(
                &r,
                "hosp_proxy_answers_cut_total",
                "Answers that an origin cut off in the middle of their body; the client's connection was reset.",
            ),
            reloads: ReloadResult::ALL.map(|result| reloads.with_label_values(&[result.name()])),
            resumed: counter(
                &r,
                "hosp_proxy_answers_resumed_total",
                "Answers cut off in the middle of their body that were continued where they broke off.",
            ),
            log_dropped: counter(
                &r,
                "hosp_proxy_access_log_dropped_total",
                "Lines of the access log dropped because its reader was too slow.",
            ),
            registry: r,
        }
    }

    /// The breaker is now closed, or open for this cause.
    pub fn breaker_changed(&self, cause: Option<Cause>) {
        for own in [Cause::Failing, Cause::Unreachable] {
            self.breaker.with_label_values(&[own.name()]).set(i64::from(cause == Some(own)));
        }
    }

    /// All metrics in Prometheus' text format, with those of the process and of each endpoint.
    pub fn text(&self, endpoints: Option<&Membership>) -> Vec<u8> {
        let mut families = self.registry.gather();
        families.extend(process());
        families.extend(endpoints.into_iter().flat_map(endpoints::families));
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("families with names and a Vec cannot fail");
        text
    }
}

fn vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::new(name, help))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, IntGauge::new(name, help))
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("names and labels in this file are valid");
    registry.register(Box::new(collector.clone())).expect("names in this file are distinct");
    collector
}

fn breaker(registry: &Registry) -> IntGaugeVec {
    let gauge = IntGaugeVec::new(
        Opts::new("hosp_proxy_breaker_open", "Whether requests are not passed on, by why not."),
        &["reason"],
    );
    let gauge = registered(registry, gauge);
    for cause in [Cause::Failing, Cause::Unreachable] {
        gauge.with_label_values(&[cause.name()]).set(0);
    }
    gauge
}

/// CPU time, memory and open files of this process, under Prometheus' own names; what the system
/// does not tell is left out.
fn process() -> Vec<MetricFamily> {
    let Ok(me) = procfs::process::Process::myself() else { return Vec::new() };
    let mut families = Vec::new();
    if let Ok(stat) = me.stat() {
        let cpu =
            prometheus::Counter::new("process_cpu_seconds_total", "User and system CPU time, in seconds.")
                .expect("the name is valid");
        cpu.inc_by((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64);
        families.extend(cpu.collect());
        let rss = IntGauge::new("process_resident_memory_bytes", "Resident memory, in bytes.")
            .expect("the name is valid");
        rss.set((stat.rss * procfs::page_size()) as i64);
        families.extend(rss.collect());
    }
    if let Ok(count) = me.fd_count() {
        let fds = IntGauge::new("process_open_fds", "Open file descriptors.").expect("the name is valid");
        fds.set(count as i64);
        families.extend(fds.collect());
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_dashboards_depend_on_exist_before_the_first_request() {
        let text = String::from_utf8(Metrics::new().text(None)).unwrap();
        for line in [
            "hosp_proxy_cache_requests_total{result=\"hit\"} 0",
            "hosp_proxy_retries_total{reason=\"connect\"} 0",
            "hosp_proxy_retries_denied_total{reason=\"budget\"} 0",
            "# TYPE hosp_proxy_build_info gauge",
            "# TYPE process_cpu_seconds_total counter",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
