//! Counters by method and status, resolved once per worker and pair.

use std::cell::RefCell;

use http::{Method, StatusCode};
use prometheus::{Histogram, IntCounter};

use super::Metrics;

/// Methods with a label of their own: those that are registered for HTTP itself (RFC 9110 §9.3, RFC 5789).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/// The label of every other method: the names come from clients, and must not make series.
const OTHER: &str = "_OTHER";

/// Statuses 100 to 999, and one place for no answer.
const STATUSES: usize = 901;

/// A method, as far as labels tell methods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodLabel(usize);

impl MethodLabel {
    /// The label of `method`.
    pub fn of(method: &Method) -> Self {
        let name = method.as_str();
        Self(METHODS.iter().position(|m| *m == name).unwrap_or(METHODS.len()))
    }

    /// The label's value.
    pub fn name(self) -> &'static str {
        METHODS.get(self.0).copied().unwrap_or(OTHER)
    }
}

/// The request counters of one worker.
#[derive(Debug)]
pub struct RequestCounters {
    total: RefCell<Vec<Option<IntCounter>>>,
    duration: [Histogram; METHODS.len() + 1],
}

impl RequestCounters {
    /// Handles into `metrics`.
    pub fn new(metrics: &Metrics) -> Self {
        let duration = std::array::from_fn(|m| metrics.duration.with_label_values(&[MethodLabel(m).name()]));
        Self { total: RefCell::new(vec![None; (METHODS.len() + 1) * STATUSES]), duration }
    }

    /// Counts one request that ended after `seconds`; `None` is no answer.
    pub fn count(&self, metrics: &Metrics, method: MethodLabel, status: Option<StatusCode>, seconds: f64) {
        let place = status.map_or(0, |s| usize::from(s.as_u16()) - 99);
        let mut total = self.total.borrow_mut();
        total[method.0 * STATUSES + place]
            .get_or_insert_with(|| {
                let status = status.as_ref().map_or("0", StatusCode::as_str);
                metrics.requests.with_label_values(&[method.name(), status])
            })
            .inc();
        self.duration[method.0].observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_to_their_method_and_status() {
        let metrics = Metrics::new();
        let counters = RequestCounters::new(&metrics);
        let get = MethodLabel::of(&Method::GET);
        let odd = MethodLabel::of(&Method::from_bytes(b"BREW").unwrap());
        let status = |code| Some(StatusCode::from_u16(code).unwrap());
        for (method, code) in
            [(get, status(200)), (get, status(200)), (odd, status(999)), (get, status(100)), (odd, None)]
        {
            counters.count(&metrics, method, code, 0.1);
        }
        let count = |method, code| metrics.requests.with_label_values(&[method, code]).get();
        assert_eq!(count("GET", "200"), 2);
        assert_eq!(count("_OTHER", "999"), 1);
        assert_eq!(count("GET", "100"), 1);
        assert_eq!(count("_OTHER", "0"), 1);
    }
}
