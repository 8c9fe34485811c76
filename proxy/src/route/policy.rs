//! What is done for the requests of one route.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

/// How the requests of one route are treated. Resolved once per request, in the handler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoutePolicy {
    /// The route's number: 0 for requests of none, else its place in the configuration, from 1.
    pub route: u16,
    /// Tries in all, the first included; 1 means no retries.
    pub tries: u32,
    /// Time from a request's last byte to the answer's head, all tries together.
    pub deadline: Duration,
    /// Longest time for one try to bring the answer's head; `None` leaves only the deadline.
    pub try_timeout: Option<Duration>,
    /// When a second try is made beside a slow one; `None` means never.
    pub hedge: Option<HedgePolicy>,
    /// Most of a request's body that is held for a further try, in bytes.
    pub replay: usize,
    /// Who goes first when not all can be served.
    pub priority: Priority,
    /// Which requests may be sent more than once.
    pub repeat: RepeatRule,
}

/// When a second try is made beside a slow one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgePolicy {
    /// A try slower than this share of those observed is hedged, 0 to 1.
    pub quantile: f64,
    /// No try is hedged before it has taken this long.
    pub floor: Duration,
}

/// Who goes first when not all can be served; the greater one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// What can be left for later: reports, exports, crawlers.
    Bulk,
    /// Whatever nobody said anything about.
    Normal,
    /// Requests that change something: people have typed them in.
    Write,
    /// What others base their decisions on, such as a load balancer's health checks.
    Critical,
}

/// Paths by which load balancers and orchestrators commonly ask whether a service is well.
const HEALTH_CHECKS: [&str; 5] = ["/health", "/healthz", "/livez", "/ping", "/readyz"];

impl Priority {
    /// Of a request for which the configuration says nothing: that of health checks and of writes; `None` for all
    /// others.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        if !method.is_safe() {
            Some(Self::Write)
        } else if HEALTH_CHECKS.contains(&path) {
            Some(Self::Critical)
        } else {
            None
        }
    }

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Normal => "normal",
            Self::Write => "write",
            Self::Critical => "critical",
        }
    }
}

/// Which requests may be sent more than once although an origin may have acted on the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepeatRule {
    /// Those with an idempotent method (RFC 9110 §9.2.2) or an `Idempotency-Key`.
    #[default]
    Idempotent,
    /// All: the operator vouches for the origin.
    Always,
    /// None: even a GET takes effect there.
    Never,
}

impl RepeatRule {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idempotent => "idempotent",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}
