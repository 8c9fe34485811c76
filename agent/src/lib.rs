//! Userspace of hosp-agent: takes the kernel's records, gives them names, aggregates them, and shows the result.
//!
//! Data flows one way: `source → owner (enrich → series) → tick → readers (metrics, feed, log)`. One thread owns all
//! state; readers see what it published, and none of them can slow it.

pub mod args;
pub mod attempts;
pub mod books;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod endpoint;
pub mod enrich;
pub mod failure;
pub mod intake;
pub mod kernel;
pub mod live;
pub mod log;
pub mod metrics;
pub mod names;
pub mod owner;
pub mod privileges;
pub mod proxy;
pub mod request_log;
pub mod routes;
pub mod run;
pub mod series;
pub mod serve;
pub mod source;
pub mod tick;
pub mod unread;

// Shared with the integration tests, which see this crate from outside.
#[cfg(test)]
extern crate self as hosp_agent;
#[cfg(test)]
#[path = "../tests/support/testing.rs"]
pub(crate) mod testing;
