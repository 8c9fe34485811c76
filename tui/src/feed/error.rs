//! Why there is no feed: each in one sentence that says what to do.

use std::io;
use std::time::Duration;

use crate::reading::ReadingError;

/// Why there is no feed, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The socket could not be connected.
    #[error("cannot connect to {address}: {}{}", reason(.source), hint(.source))]
    Connect {
        /// Where.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("{address} did not answer within {} s", .after.as_secs())]
    Timeout {
        /// Where.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// What answers there speaks something else.
    #[error("{address} does not speak HTTP as an agent does ({source}); is this an agent's feed?")]
    NotHttp {
        /// Where.
        address: String,
        /// What was wrong.
        source: hyper::Error,
    },
    /// It answered, but with no feed.
    #[error("{address} answered {status} to {path}; is this an agent's feed?")]
    Status {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        path: &'static str,
    },
    /// A line of it is no reading.
    #[error("cannot read the feed of {address}: {source}")]
    Reading {
        /// Where.
        address: String,
        /// What was wrong.
        source: ReadingError,
    },
    /// The agent ended the feed, as it does when it stops.
    #[error("{address} ended the feed")]
    Ended {
        /// Where.
        address: String,
    },
    /// The agent ended the feed in the middle of a line.
    #[error("{address} ended the feed in the middle of a snapshot")]
    Cut {
        /// Where.
        address: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke off; did hosp-agent crash?")]
    Broken {
        /// Where.
        address: String,
        /// What was wrong.
        source: hyper::Error,
    },
}

impl FeedError {
    /// Whether trying again within seconds may help.
    pub fn passing(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
            Self::Timeout { .. } | Self::Ended { .. } | Self::Cut { .. } | Self::Broken { .. } => true,
            Self::NotHttp { .. } | Self::Status { .. } | Self::Reading { .. } => false,
        }
    }
}

/// The system's reason in words, without the number that Rust puts behind it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// What usually helps.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "; is hosp-agent running there?",
        io::ErrorKind::PermissionDenied => "; run hosp-tui as a user who may open it, for example with sudo",
        _ => "",
    }
}
