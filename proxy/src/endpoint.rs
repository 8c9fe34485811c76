//! One address of an origin, as all workers see it: where it is, what is under way there, and how it fares.

mod ewma;
mod membership;
mod outcome;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::IntCounter;

use crate::health::Health;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::origin::Origin;
pub use ewma::PeakEwma;
pub use membership::{MOST_ENDPOINTS, Membership};
pub use outcome::{AttemptOutcome, Sign};

/// One configured origin: a name that may stand for several endpoints.
#[derive(Debug)]
pub struct Upstream {
    /// Where it is.
    pub origin: Origin,
    /// Requests go to the lowest tier that has an endpoint in good health.
    pub tier: usize,
    name: String,
    attempts: [IntCounter; AttemptOutcome::NAMES.len()],
}

impl Upstream {
    /// An origin whose tries are counted in `metrics`.
    pub fn new(origin: Origin, tier: usize, metrics: &Metrics) -> Self {
        let name = origin.to_string();
        let attempts = AttemptOutcome::NAMES
            .map(|outcome| metrics.attempts.with_label_values(&[name.as_str(), outcome]));
        Self { origin, tier, name, attempts }
    }

    /// `http://host:port`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tries so far, by outcome; those without any are left out.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        AttemptOutcome::NAMES
            .into_iter()
            .zip(&self.attempts)
            .map(|(name, n)| (name, n.get()))
            .filter(|(_, n)| *n > 0)
    }
}

/// One address of an origin.
#[derive(Debug)]
pub struct Endpoint {
    /// The origin that it belongs to.
    pub upstream: Arc<Upstream>,
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is fit to be tried.
    pub health: Health,
    /// How much may be under way there at once.
    pub limit: Limit,
    number: u64,
    in_flight: AtomicU64,
}

impl Endpoint {
    /// A number that no other endpoint of this process has had.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Tries and answers under way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Whether one more may be under way.
    pub fn has_room(&self) -> bool {
        self.in_flight() < u64::from(self.limit.now())
    }

    /// Counts one try.
    pub fn count(&self, outcome: AttemptOutcome) {
        self.upstream.attempts[outcome.index()].inc();
    }

    /// Takes note of the beginning of a try; [`Endpoint::leave`] takes note of the end of its answer.
    ///
    /// Two workers may both see the last room and take it: the overshoot is at most the number of workers.
    pub fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// The opposite of [`Endpoint::enter`].
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `http://host:port`, and the address where that is not the same.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.upstream.name())?;
        if self.upstream.origin.address().is_none() {
            write!(f, " ({})", self.address.ip())?;
        }
        Ok(())
    }
}
