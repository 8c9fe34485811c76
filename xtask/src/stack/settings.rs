//! What a stack is started with, and which of an agent's series are about it.

use hosp_feed::{Leg, Series};

/// The name under which the agent files hosp-proxy.
pub const PROXY: &str = "hosp-proxy";
/// The name under which it files the origin.
pub const ORIGIN: &str = "demo-origin";
/// The name under which it files the load generator.
pub const LOAD: &str = "demo-load";

/// What the programs of a [`Stack`](super::Stack) are started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests per second, on average.
    pub rate: f64,
    /// Seed of the schedule and of the origin's faults.
    pub seed: u64,
    /// Factor on the real system's 2 to 20 s per answer.
    pub time_scale: f64,
    /// Whether the origin fails as the real one does, or never.
    pub faults: bool,
    /// Where the proxy tells of itself.
    pub admin: Admin,
    /// Whether the folder with sockets and logs stays.
    pub keep: bool,
}

/// Where the proxy's admin interface listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// On a Unix socket, as it does by default.
    Unix,
    /// On a TCP port of loopback, where a Prometheus reaches it.
    Tcp,
}

impl Default for Settings {
    /// The demo's: a hundredth of the real system's times, and all of its faults.
    fn default() -> Self {
        Self { rate: 200.0, seed: 1, time_scale: 0.01, faults: true, admin: Admin::Unix, keep: false }
    }
}

/// Which of the agent's series are about one stack: an agent that observes the whole host sees others too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The port on which the proxy serves.
    pub proxy_port: u16,
    /// The port on which the origin serves.
    pub origin_port: u16,
}

impl Scope {
    /// The port that a series has if it is what `service` had to do with on `leg`, within this stack.
    pub fn port(self, leg: Leg, service: &str) -> u16 {
        match (leg, service) {
            (Leg::Server, PROXY) | (Leg::Client, LOAD) => self.proxy_port,
            _ => self.origin_port,
        }
    }

    /// Whether a series is what `service` had to do with on `leg`, within this stack.
    pub fn covers(self, series: &Series, leg: Leg, service: &str) -> bool {
        let key = &series.key;
        key.leg == leg && key.service == service && key.server_port == self.port(leg, service)
    }
}
