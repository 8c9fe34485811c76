//! The site that Prometheus scrapes.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use super::Site;
use super::reply::{self, Body};
use crate::clock;
use crate::metrics::Metrics;
use crate::owner::{Handle, INTERVAL};

/// Missed ticks after which the agent no longer calls itself healthy.
const MISSED: u32 = 5;

/// `/metrics`, `/healthz`, and a page that names them.
#[derive(Debug)]
pub struct MetricsSite {
    metrics: Arc<Metrics>,
    owner: Handle,
}

impl MetricsSite {
    /// Shows `metrics`, and whether `owner` is alive.
    pub fn new(metrics: Arc<Metrics>, owner: Handle) -> Self {
        Self { metrics, owner }
    }

    fn healthy(&self) -> bool {
        let ended = self.owner.ticks().borrow().as_ref().map(|tick| tick.unix_ns());
        // Before the first tick there is nothing to complain about yet.
        ended
            .is_none_or(|at| u128::from(clock::unix_ns().saturating_sub(at)) < (INTERVAL * MISSED).as_nanos())
    }
}

impl Site for MetricsSite {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(refused) = reply::refuse(request.method(), path, &["/", "/metrics", "/healthz"]) {
            return refused;
        }
        match path {
            "/metrics" => reply::ok(prometheus::TEXT_FORMAT, reply::whole(self.metrics.text().await)),
            "/healthz" if self.healthy() => reply::text(StatusCode::OK, "ok\n"),
            "/healthz" => {
                reply::text(StatusCode::SERVICE_UNAVAILABLE, "no interval has ended for too long\n")
            }
            _ => reply::text(StatusCode::OK, "hosp-agent: /metrics /healthz\n"),
        }
    }
}
