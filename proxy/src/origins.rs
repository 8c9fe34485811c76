//! All origins under one configuration: their endpoints, the breaker over them, and who waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::breaker::{Breaker, BreakerConfig};
use crate::config::Config;
use crate::dns::DnsConfig;
use crate::endpoint::Membership;
use crate::health::HealthConfig;
use crate::limit::LimitConfig;
use crate::limit::queue::Queue;
use crate::metrics::Metrics;
use crate::origin::Origin;

/// What the configuration says of origins. As long as it stays the same, what is known of them goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginsConfig {
    /// Origins, tier by tier.
    pub tiers: Vec<Vec<Origin>>,
    /// See [`Config::health`].
    pub health: HealthConfig,
    /// See [`Config::breaker`].
    pub breaker: BreakerConfig,
    /// See [`Config::concurrency`].
    pub concurrency: LimitConfig,
    /// See [`Config::dns`].
    pub dns: DnsConfig,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
}

impl OriginsConfig {
    /// What `config` says of them.
    pub fn of(config: &Config) -> Self {
        Self {
            tiers: std::iter::once(&config.origins).chain(&config.fallbacks).cloned().collect(),
            health: config.health.clone(),
            breaker: config.breaker,
            concurrency: config.concurrency,
            dns: config.dns.clone(),
            connect_timeout: config.pool.connect_timeout,
        }
    }
}

/// All origins.
#[derive(Debug)]
pub struct Origins {
    /// Their endpoints.
    pub endpoints: Membership,
    /// Whether they are asked at all.
    pub breaker: Breaker,
    /// Who waits for room at an endpoint, or for one to come back.
    pub queue: Queue,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    config: OriginsConfig,
}

impl Origins {
    /// What `config` describes, with nothing known of it.
    pub fn new(config: OriginsConfig, metrics: &Arc<Metrics>, now: Instant) -> Self {
        Self {
            endpoints: Membership::new(&config.tiers, metrics, now),
            breaker: Breaker::new(config.breaker),
            queue: Queue::new(config.concurrency.queue),
            metrics: metrics.clone(),
            config,
        }
    }

    /// What the configuration says of them.
    pub fn config(&self) -> &OriginsConfig {
        &self.config
    }
}
