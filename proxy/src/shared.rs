//! What all workers share.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::access::AccessLog;
use crate::balance::Endpoint;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::config::Config;
use crate::metrics::Metrics;

/// What all workers and the admin interface share. Nothing in it is locked on the path of a request, but the
/// shard of the cache that a key falls into.
#[derive(Debug)]
pub struct Shared {
    /// What the proxy was told.
    pub config: Config,
    /// The origins.
    pub endpoints: Vec<Endpoint>,
    /// What all retries draw on.
    pub budget: Budget,
    /// Stored answers; `None` when the cache is off.
    pub cache: Option<Cache>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where requests are logged, if they are.
    pub access: Option<AccessLog>,
    /// Whether the proxy is going down: it then takes no new connections.
    pub draining: watch::Receiver<bool>,
}

impl Shared {
    /// What `config` describes, with nothing counted and nothing stored.
    pub fn new(
        config: Config,
        access: Option<AccessLog>,
        metrics: Arc<Metrics>,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let endpoints = config.origins.iter().map(|o| Endpoint::new(o.clone(), &metrics)).collect();
        let cache = (config.cache.size > 0).then(|| Cache::new(&config.cache));
        let budget = Budget::new(config.retry.budget, Instant::now());
        Self { config, endpoints, budget, cache, metrics, access, draining }
    }

    /// Whether the proxy is going down.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}
