//! One agent's connection.

use std::time::Duration;

use crate::clean::Label;
use crate::history::Known;

/// One agent's connection.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its address, as the command line gave it.
    pub address: Label,
    /// The state of the connection.
    pub link: Link,
    /// What its last reading said.
    pub known: Option<Known>,
    /// Sequence number of the last reading on this connection.
    pub last_seq: Option<u64>,
    /// Readings that this program was too slow for.
    pub missed: u64,
    /// How often the agent was found restarted.
    pub restarts: u64,
    /// Length of its last interval.
    pub interval: Duration,
}

/// The state of a connection. Times are since the start of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Being tried; `after` is why the one before failed.
    Connecting {
        /// One sentence.
        after: Option<Label>,
    },
    /// Readings come.
    Live {
        /// When the last one came; before the first one, when the agent answered.
        last: Duration,
    },
    /// Connected, but no reading has come for a while.
    Stale {
        /// When the last one came.
        since: Duration,
    },
    /// Not connected.
    Down {
        /// One sentence.
        reason: Label,
        /// When it is tried again.
        retry_at: Duration,
    },
}

impl Agent {
    /// An agent that has not been reached yet.
    pub fn new(address: Label) -> Self {
        Self {
            address,
            link: Link::Connecting { after: None },
            known: None,
            last_seq: None,
            missed: 0,
            restarts: 0,
            interval: Duration::from_secs(1),
        }
    }

    /// Silence of this length makes a connection stale: three intervals, but at least 3 s.
    pub fn patience(&self) -> Duration {
        (self.interval * 3).max(Duration::from_secs(3))
    }
}
