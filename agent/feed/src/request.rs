//! One request, as the live tail shows it.

use serde::{Deserialize, Serialize};

use crate::series::is_zero;
use crate::{Leg, Outcome};

/// One request, as the live tail shows it. No query string, no header, no body: none of those leaves the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When its first byte passed the socket, in milliseconds since 1970-01-01T00:00:00Z.
    pub start_unix_ms: u64,
    /// The side on which it was seen.
    pub leg: Leg,
    /// Server leg: who listens. Client leg: who connected.
    pub service: String,
    /// Systemd unit of its socket, or `container:` and the first digits of the container's id, or the path of the
    /// cgroup; empty when not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The other end, as `address:port`.
    pub peer: String,
    /// The port listened on, or connected to.
    pub server_port: u16,
    /// Method in upper case; `_OTHER` when it is not a registered one.
    pub method: String,
    /// Path template.
    pub route: String,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// First byte of the request to first byte of the final answer, in microseconds; 0 without an answer.
    pub ttfb_us: u64,
    /// First byte of the request to last byte of the answer, in microseconds.
    pub duration_us: u64,
    /// First byte of the request to the server's first read of the socket, in microseconds; 0 when not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_us: u64,
    /// Head and body of the request, in bytes.
    pub request_bytes: u64,
    /// Heads and body of the answer, in bytes.
    pub response_bytes: u64,
    /// Smoothed round-trip time of the connection when the request ended, in microseconds.
    pub srtt_us: u32,
    /// Segments that this end sent again between its beginning and its end.
    pub retransmits: u32,
    /// 1 for the first request of its connection.
    pub ordinal: u32,
    /// Whether it arrived before the answer to an earlier one had ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pipelined: bool,
    /// A hash of its `X-Request-Id` or `traceparent`, in hexadecimal: equal on both legs and for every attempt; absent
    /// when it has neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
