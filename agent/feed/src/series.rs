//! What is counted apart from what: legs, outcomes, and the key of a series.

use serde::{Deserialize, Serialize};

use crate::Encoded;

/// The side of a process on which a request was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    /// On a socket that the host accepted: what clients *got*.
    Server,
    /// On a socket that the host opened: what the origin *did*.
    Client,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A final status and its whole body.
    Answered,
    /// A final status, but the connection ended before the promised length.
    CutBody,
    /// The client reset the connection before a final answer.
    ClientReset,
    /// The client closed the connection before a final answer.
    ClientClosed,
    /// The server reset the connection before a final answer.
    ServerReset,
    /// The server closed the connection before a final answer.
    ServerClosed,
    /// The kernel gave the connection up (time-out, host unreachable) before a final answer.
    Aborted,
}

impl Outcome {
    /// The value of the `error_type` label; empty for an answered request.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::Answered => "",
            Self::CutBody => "cut_body",
            Self::ClientReset => "client_reset",
            Self::ClientClosed => "client_closed",
            Self::ServerReset => "server_reset",
            Self::ServerClosed => "server_closed",
            Self::Aborted => "aborted",
        }
    }
}

/// What a series counts: requests that are alike in all of this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The side on which the requests were seen.
    pub leg: Leg,
    /// Server leg: who listens. Client leg: who connected.
    pub service: String,
    /// Client leg: the address connected to. Empty on the server leg.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_address: String,
    /// The port listened on, or connected to.
    pub server_port: u16,
    /// Path template, such as `/patients/{id}/notes`; `_other` beyond the cap on routes.
    pub route: String,
    /// Method in upper case; `_OTHER` when it is not a registered one.
    pub method: String,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// How the requests ended.
    pub outcome: Outcome,
}

impl SeriesKey {
    /// Whether these requests count as successes: a whole answer with a status below 500.
    ///
    /// A client that goes away by itself is not the service's failure, and is left out of the ratio by
    /// [`SeriesKey::counts`].
    pub fn success(&self) -> bool {
        self.outcome == Outcome::Answered && self.status < 500
    }

    /// Whether these requests count towards the success ratio at all.
    pub fn counts(&self) -> bool {
        !matches!(self.outcome, Outcome::ClientReset | Outcome::ClientClosed)
    }
}

/// One series: how many requests ever, and how long those of the last interval took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What this series counts.
    #[serde(flatten)]
    pub key: SeriesKey,
    /// Requests since the agent started.
    pub total: u64,
    /// Requests that ended in this interval.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u64,
    /// Durations of the interval's requests; absent when there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Encoded>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if wants a reference")]
pub(crate) fn is_zero(n: &u64) -> bool {
    *n == 0
}
