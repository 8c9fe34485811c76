//! What all workers share.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::access::AccessLog;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::origins::{Origins, OriginsConfig};

/// What all workers and the admin interface share under one configuration. Nothing in it is locked on the path of a
/// request that succeeds and needs not wait, but the shard of the cache that a key falls into.
///
/// It never changes. A reload makes a successor, which takes over whatever its configuration leaves the same; requests
/// end under the one that they began with.
#[derive(Debug)]
pub struct Shared {
    /// What the proxy was told.
    pub config: Config,
    /// The origins and what is known of them.
    pub origins: Arc<Origins>,
    /// What all retries draw on.
    pub budget: Arc<Budget>,
    /// Stored answers; `None` when the cache is off.
    pub cache: Option<Arc<Cache>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where requests are logged, if they are.
    pub access: Option<AccessLog>,
    /// Whether the proxy is going down: it then takes no new connections.
    pub draining: watch::Receiver<bool>,
}

impl Shared {
    /// What `config` describes, with nothing counted and nothing stored. Fails when the access log's thread cannot be
    /// started.
    pub fn new(config: Config, draining: watch::Receiver<bool>) -> io::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        Ok(Self {
            origins: origins(&config, &metrics),
            budget: budget(&config),
            cache: cache(&config),
            access: access(&config, &metrics)?,
            metrics,
            draining,
            config,
        })
    }

    /// The successor under `config`. What `config` does not change goes on as it is: origins with what is known of
    /// them, stored answers, what was drawn on the budget.
    pub fn succeed(&self, config: Config) -> io::Result<Self> {
        let old = &self.config;
        Ok(Self {
            origins: match *self.origins.config() == OriginsConfig::of(&config) {
                true => self.origins.clone(),
                false => {
                    let origins = origins(&config, &self.metrics);
                    origins.endpoints.inherit(&self.origins.endpoints, Instant::now());
                    origins
                }
            },
            budget: match old.retry.budget == config.retry.budget {
                true => self.budget.clone(),
                false => budget(&config),
            },
            cache: if old.cache == config.cache { self.cache.clone() } else { cache(&config) },
            access: match old.log.access == config.log.access {
                true => self.access.clone(),
                false => access(&config, &self.metrics)?,
            },
            metrics: self.metrics.clone(),
            draining: self.draining.clone(),
            config,
        })
    }

    /// Whether the proxy is going down.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

fn origins(config: &Config, metrics: &Arc<Metrics>) -> Arc<Origins> {
    Arc::new(Origins::new(OriginsConfig::of(config), metrics, Instant::now()))
}

fn budget(config: &Config) -> Arc<Budget> {
    Arc::new(Budget::new(config.retry.budget, Instant::now()))
}

fn cache(config: &Config) -> Option<Arc<Cache>> {
    (config.cache.size > 0).then(|| Arc::new(Cache::new(&config.cache)))
}

fn access(config: &Config, metrics: &Arc<Metrics>) -> io::Result<Option<AccessLog>> {
    config.log.access.then(|| AccessLog::start(io::stdout(), metrics.clone())).transpose()
}
