//! The wire types of hosp-agent's live feed.
//!
//! The feed is HTTP/1.1 on a Unix socket (or TCP, on request). `GET /v1/snapshot` answers with one
//! [`Snapshot`] as a JSON object; `GET /v1/feed` streams one per line ([newline-delimited JSON]) for as long
//! as the reader keeps up. A reader that falls behind misses snapshots, never delays the agent:
//! [`Snapshot::seq`] shows the gap, and every count that matters is cumulative.
//!
//! Nothing here knows about eBPF, Prometheus or the terminal.
//!
//! [newline-delimited JSON]: https://github.com/ndjson/ndjson-spec

#![forbid(unsafe_code)]

mod attempts;
mod books;
mod codec;
mod focus;
mod histogram;
mod proxy;
mod request;
mod series;
mod snapshot;

pub use attempts::Attempts;
pub use books::Books;
pub use codec::{DecodeError, MAX_LINE, decode, encode};
pub use focus::{Focus, Tally, focus, tally};
pub use histogram::{Encoded, HighestTrackable, Latency, LatencyError};
pub use proxy::{OriginState, ProxyFacts};
pub use request::Request;
pub use series::{Leg, Outcome, Series, SeriesKey};
pub use snapshot::{AgentInfo, Cost, ProgramCost, ServiceInfo, Snapshot};

/// The version of the feed that this crate reads and writes. It changes when an older reader would
/// misunderstand a newer agent; new optional fields do not change it.
pub const VERSION: u32 = 1;
