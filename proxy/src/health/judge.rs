//! What the end of a try means: for its endpoint's health, for balancing, and for the breaker.

use tokio::time::Instant;

use crate::breaker::{Cause, Change};
use crate::endpoint::{AttemptOutcome, Endpoint, Sign};
use crate::origins::Origins;
use crate::pool::Member;

/// Takes note of a try at `member` that began at `started` and has now ended so: as far as its answer's head goes.
pub fn judge(origins: &Origins, member: &Member, outcome: AttemptOutcome, started: Instant) {
    let endpoint = &*member.endpoint;
    endpoint.count(outcome);
    let sign = outcome.sign();
    if sign == Sign::None {
        return;
    }
    let now = Instant::now();
    let latency = now.saturating_duration_since(started);
    match sign {
        Sign::Good => {
            member.good(latency, now);
            endpoint.health.good();
            announce(origins, origins.breaker.succeeded(started.into_std()));
        }
        // It works, and would rather have less to do.
        Sign::Overloaded => {
            member.bad(latency, now);
            announce(origins, origins.breaker.succeeded(started.into_std()));
        }
        Sign::Bad => {
            member.bad(latency, now);
            failed(origins, endpoint, Cause::Failing, started, now);
        }
        Sign::Unreachable => {
            member.bad(latency, now);
            failed(origins, endpoint, Cause::Unreachable, started, now);
        }
        Sign::None => {}
    }
}

fn failed(origins: &Origins, endpoint: &Endpoint, cause: Cause, started: Instant, now: Instant) {
    if let Some(period) = endpoint.health.bad(&origins.config().health.ejection) {
        eject(origins, endpoint, period, now, "it fails again and again");
    }
    announce(origins, origins.breaker.failed(cause, started.into_std(), now.into_std()));
}

/// Takes an endpoint out, unless it is the last one.
pub(super) fn eject(
    origins: &Origins,
    endpoint: &Endpoint,
    period: std::time::Duration,
    now: Instant,
    why: &'static str,
) {
    let now = now.into_std();
    let others = origins.endpoints.list();
    let mut others = others.iter().filter(|other| other.number() != endpoint.number());
    if endpoint.health.is_fit(now) && others.any(|other| other.health.is_fit(now)) {
        endpoint.health.eject(now, period);
        origins.metrics.ejections.inc();
        tracing::warn!(%endpoint, ?period, "takes no requests for a while: {why}");
    }
}

/// Tells of a change of the breaker, and lets those go on who wait for it.
pub(super) fn announce(origins: &Origins, change: Option<Change>) {
    match change {
        None => return,
        Some(Change::ProbeFailed) => {}
        Some(Change::Opened(Cause::Failing)) => {
            tracing::warn!(
                "every request fails: further ones are refused at once, until one now and then succeeds"
            );
        }
        Some(Change::Opened(Cause::Unreachable)) => {
            tracing::warn!("no connection can be made to any origin: requests wait for one to come back");
        }
        Some(Change::Closed) => tracing::info!("an origin is back"),
    }
    origins.metrics.breaker_changed(origins.breaker.cause());
    origins.queue.wake_all();
}
