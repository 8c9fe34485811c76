//! A reverse proxy that makes an unreliable HTTP origin reliable.
//!
//! Thread per core: each worker owns its listeners, its client connections and its pools of connections to
//! the origins; what has to be the same everywhere (cache, retry budget, counters, drain) is in
//! [`shared::Shared`]. A request passes the layers in the order in which [`handler`] calls them.
//!
//! Nothing here knows of eBPF: the observer measures this program from outside, as it would any other.

#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
pub mod balance;
pub mod body;
pub mod breaker;
pub mod budget;
pub mod cache;
pub mod cli;
pub mod client;
pub mod config;
pub mod connection;
pub mod dns;
pub mod endpoint;
pub mod error;
pub mod exchange;
pub mod facts;
pub mod forward;
pub mod framing;
pub mod handler;
pub mod handover;
pub mod health;
pub mod hedge;
pub mod latency;
pub mod limit;
pub mod link;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod origin;
pub mod origins;
pub mod pool;
pub mod record;
pub mod reload;
pub mod request_id;
pub mod retry;
pub mod route;
pub mod run;
pub mod server;
pub mod shared;
pub mod systemd;
pub mod timer;
pub mod worker;
