//! Builds metric families out of plain numbers, in the terms of the crate `prometheus`.
//!
//! The crate's own vectors (`CounterVec` and its like, 0.14) find a child by a hash of its label values written one
//! after the other with nothing between them, so that `("web", "180")` and `("web1", "80")` are one series. Names of
//! processes and ports do meet like that; so the tables here are the agent's own.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::series::{BOUNDS, Counts};

/// Label names with their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn metric(labels: Labels<'_>) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

/// A value that only grows.
pub(super) fn counter(labels: Labels<'_>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = metric(labels);
    metric.set_counter(counter);
    metric
}

/// A value that comes and goes.
pub(super) fn gauge(labels: Labels<'_>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = metric(labels);
    metric.set_gauge(gauge);
    metric
}

/// Durations, in seconds.
pub(super) fn durations(labels: Labels<'_>, counts: &Counts) -> Metric {
    histogram(labels, &BOUNDS, &counts.buckets, counts.sum_ns as f64 / 1e9)
}

/// Values up to each of `bounds`, and those above; `sum` is that of all values.
pub(super) fn histogram(labels: Labels<'_>, bounds: &[f64], counts: &[u64], sum: f64) -> Metric {
    let mut cumulative = 0;
    let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum);
    let mut metric = metric(labels);
    metric.set_histogram(histogram);
    metric
}

/// A family of counters.
pub(super) fn counters(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    family(name, help, MetricType::COUNTER, metrics)
}

/// A family of gauges.
pub(super) fn gauges(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    family(name, help, MetricType::GAUGE, metrics)
}

/// A family of histograms.
pub(super) fn histograms(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    family(name, help, MetricType::HISTOGRAM, metrics)
}
