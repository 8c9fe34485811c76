//! Flags over file over profile: the one place that knows every default.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::file::File;
use super::routes::{HEDGE, hedging};
use super::{
    CacheConfig, Config, ForwardedConfig, LimitsConfig, LogConfig, PoolConfig, Profile, RetryConfig,
};
use crate::budget::BudgetConfig;
use crate::cli::Flags;
use crate::retry::Backoff;
use crate::route::{Priority, RepeatRule, RoutePolicy, Routes};

/// What neither the flags nor the file give, and no default can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No listening address.
    #[error("no address to listen on: give --listen ADDR, or `listen` in the configuration file")]
    Listen,
    /// No origin.
    #[error(
        "no origin to pass requests to: give --origin http://HOST:PORT, or `origins` in the configuration file"
    )]
    Origin,
}

/// The configuration that `flags` and `file` make together.
pub fn resolve(flags: &Flags, file: File) -> Result<Config, Missing> {
    let classic = flags.profile.or(file.profile).unwrap_or_default() == Profile::Classic;
    let listen = if flags.listen.is_empty() { file.listen } else { flags.listen.clone() };
    let origins = if flags.origin.is_empty() { file.origins } else { flags.origin.clone() };
    if listen.is_empty() {
        return Err(Missing::Listen);
    }
    if origins.is_empty() {
        return Err(Missing::Origin);
    }
    let period = |given: Option<Duration>, default: Duration| given.unwrap_or(default);
    let secs = Duration::from_secs;

    let base = period(file.retry.backoff_base.map(|p| p.0), Duration::from_millis(100));
    let max = period(file.retry.backoff_max.map(|p| p.0), secs(3));
    let interval = file.retry.interval.map(|p| p.0).or(classic.then_some(secs(3)));
    let backoff = interval.map_or(Backoff::FullJitter { base, max: max.max(base) }, Backoff::Fixed);

    let deadline = period(flags.deadline.or(file.deadline).map(|p| p.0), secs(30));
    let retry = RetryConfig {
        tries: flags.tries.or(file.retry.tries.map(|t| t.0)).unwrap_or(5),
        backoff,
        try_timeout: file.retry.try_timeout.map(|p| p.0),
        replay: file.retry.replay.map_or(64 << 10, |s| s.0 as usize),
        budget: BudgetConfig {
            ratio: file.retry.budget_ratio.map_or(0.2, |r| r.0),
            floor: file.retry.budget_floor.unwrap_or(10),
        },
    };
    let general = RoutePolicy {
        route: 0,
        tries: retry.tries,
        deadline,
        try_timeout: retry.try_timeout,
        hedge: hedging(file.retry.hedge, file.retry.hedge_floor, Some(HEDGE)),
        replay: retry.replay,
        priority: Priority::Normal,
        repeat: RepeatRule::default(),
    };
    let rules = file.routes.into_iter().map(|route| route.into_rule(general.hedge)).collect();

    Ok(Config {
        listen,
        origins,
        fallbacks: file.fallbacks,
        health: file.health.into(),
        breaker: file.breaker.into(),
        concurrency: file.concurrency.into(),
        dns: file.dns.into(),
        admin: flags.admin.clone().or(file.admin).unwrap_or_default(),
        workers: flags.workers.or(file.workers).unwrap_or_else(cores),
        deadline,
        retry,
        routes: Routes::new(general, rules),
        cache: CacheConfig {
            size: file.cache.size.map_or(64 << 20, |s| s.0),
            entry: file.cache.entry.map_or(1 << 20, |s| s.0),
            default_ttl: period(
                file.cache.default_ttl.map(|p| p.0),
                if classic { secs(120) } else { Duration::ZERO },
            ),
        },
        pool: PoolConfig {
            // Below the 60 s after which common load balancers close idle connections themselves.
            idle_timeout: period(file.pool.idle_timeout.map(|p| p.0), secs(50)),
            idle: file.pool.idle.unwrap_or(256),
            connect_timeout: period(file.pool.connect_timeout.map(|p| p.0), secs(3)),
        },
        limits: LimitsConfig {
            // Above those 60 s: a load balancer in front must be the one that closes, or it meets resets.
            client_idle: period(file.limits.client_idle.map(|p| p.0), secs(75)),
            head: file.limits.head.map_or(64 << 10, |s| s.0),
            body_idle: period(file.limits.body_idle.map(|p| p.0), secs(60)),
        },
        forwarded: ForwardedConfig { trust: file.forwarded.trust, host: file.forwarded.host },
        log: LogConfig {
            format: flags.log_format.or(file.log.format).unwrap_or_default(),
            access: flags.access_log || file.log.access.unwrap_or(false),
            server_timing: file.log.server_timing.unwrap_or(false),
        },
        drain: period(file.drain.map(|p| p.0), secs(30)),
    })
}

/// As many workers as the process may use cores.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn flags(args: &str) -> Flags {
        crate::cli::flags(std::iter::once("hosp-proxy").chain(args.split_whitespace()))
    }

    fn file(text: &str) -> File {
        super::super::file::parse(text, Path::new("p.toml")).unwrap()
    }

    #[test]
    fn flags_override_the_file() {
        let file =
            file("listen = ['127.0.0.1:1']\norigins = ['http://a']\ndeadline = '9s'\n[retry]\ntries = 2");
        let config = resolve(&flags("--listen 127.0.0.1:2 --tries 3"), file).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:2".parse().unwrap()]);
        assert_eq!(config.origins[0].host(), "a");
        assert_eq!((config.retry.tries, config.deadline), (3, Duration::from_secs(9)));
    }

    #[test]
    fn the_classic_profile_is_the_first_attempt() {
        let config =
            resolve(&flags("--listen 127.0.0.1:2 --origin http://a --profile classic"), file("")).unwrap();
        assert_eq!(config.retry.tries, 5);
        assert_eq!(config.retry.backoff, Backoff::Fixed(Duration::from_secs(3)));
        assert_eq!(config.cache.default_ttl, Duration::from_secs(120));
        let standard = resolve(&flags("--listen 127.0.0.1:2 --origin http://a"), file("")).unwrap();
        assert_eq!(standard.cache.default_ttl, Duration::ZERO);
    }

    #[test]
    fn the_sample_shows_the_defaults_and_its_route_is_a_route() {
        let sample = include_str!("../../../deploy/proxy.toml");
        let by_sample = resolve(&Flags::default(), file(sample)).unwrap();
        let by_default = resolve(
            &flags("--listen 0.0.0.0:80 --origin http://hosp.internal:80 --admin unix:/run/hosp/proxy.sock"),
            file(""),
        );
        assert_eq!(Ok(&by_sample), by_default.as_ref());

        let at = sample.find("# [[routes]]").unwrap();
        let route = sample[at..].lines().take_while(|line| line.starts_with('#'));
        let route: String = route.map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let routes = file(&route).routes;
        assert_eq!(routes.len(), 1);
        assert!(!format!("{routes:?}").contains("None"), "a key is missing: {routes:?}");
    }

    #[test]
    fn what_no_default_can_give_is_asked_for() {
        assert_eq!(resolve(&flags("--origin http://a"), file("")), Err(Missing::Listen));
        assert_eq!(resolve(&flags("--listen 127.0.0.1:2"), file("")), Err(Missing::Origin));
    }
}
