//! A new configuration for a running proxy: all of it is taken over, or nothing.
//!
//! A reload publishes a successor of [`Shared`]; each worker takes it up by itself. No connection is touched: the next
//! request on it is treated as the new configuration says, one that is under way as the old one did.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use crate::shared::Shared;

/// Why a configuration is not taken over. The old one stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It differs in what a running process cannot change.
    #[error(
        "{} cannot be changed by a reload: put the old value back, or replace the running program (SIGUSR2)",
        .0.join(", ")
    )]
    Fixed(Vec<&'static str>),
    /// The access log's thread cannot be started.
    #[error("cannot start the access log: {0}")]
    AccessLog(#[source] io::Error),
}

/// Gives a running proxy a new configuration.
#[derive(Clone, Debug)]
pub struct Reloader(pub(crate) watch::Sender<Arc<Shared>>);

impl Reloader {
    /// Takes `config` over and says which sections changed, or refuses it as a whole.
    pub fn reload(&self, config: Config) -> Result<Vec<&'static str>, ReloadError> {
        let old = self.0.borrow().clone();
        let fixed = fixed(&old.config, &config);
        if !fixed.is_empty() {
            return Err(ReloadError::Fixed(fixed));
        }
        let changed = changed(&old.config, &config);
        if !changed.is_empty() {
            self.0.send_replace(Arc::new(old.succeed(config).map_err(ReloadError::AccessLog)?));
        }
        Ok(changed)
    }
}

/// What differs although a running process cannot change it: its sockets, threads, and how it logs.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let same = [
        ("listen", old.listen == new.listen),
        ("admin", old.admin == new.admin),
        ("workers", old.workers == new.workers),
        ("log.format", old.log.format == new.log.format),
    ];
    different(same)
}

/// What differs and can be changed.
fn changed(old: &Config, new: &Config) -> Vec<&'static str> {
    // Taken apart, so that a new setting cannot be forgotten here.
    let Config {
        listen: _,
        admin: _,
        workers: _,
        origins,
        fallbacks,
        health,
        breaker,
        concurrency,
        dns,
        deadline,
        retry,
        routes,
        cache,
        pool,
        limits,
        forwarded,
        log,
        drain,
    } = new;
    let same = [
        ("origins", old.origins == *origins),
        ("fallbacks", old.fallbacks == *fallbacks),
        ("health", old.health == *health),
        ("breaker", old.breaker == *breaker),
        ("concurrency", old.concurrency == *concurrency),
        ("dns", old.dns == *dns),
        ("deadline", old.deadline == *deadline),
        ("drain", old.drain == *drain),
        // What general settings say of hedging is kept with the routes only.
        ("retry", old.retry == *retry && old.routes.general().hedge == routes.general().hedge),
        ("routes", old.routes.rules().eq(routes.rules())),
        ("cache", old.cache == *cache),
        ("pool", old.pool == *pool),
        ("limits", old.limits == *limits),
        ("forwarded", old.forwarded == *forwarded),
        ("log", old.log == *log),
    ];
    different(same)
}

fn different<const N: usize>(same: [(&'static str, bool); N]) -> Vec<&'static str> {
    same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{file, resolve::resolve};

    const OLD: &str = "listen = ['127.0.0.1:0']\norigins = ['http://a']\nworkers = 2\n";

    fn config(text: &str) -> Config {
        let file = file::parse(text, std::path::Path::new("p.toml")).unwrap();
        resolve(&crate::cli::Flags::default(), file).unwrap()
    }

    fn reloader() -> (Reloader, watch::Receiver<Arc<Shared>>) {
        let shared = Shared::new(config(OLD), watch::channel(false).1).unwrap();
        let (sender, receiver) = watch::channel(Arc::new(shared));
        (Reloader(sender), receiver)
    }

    #[test]
    fn what_changed_is_named_and_what_cannot_change_refuses_all() {
        let check = |text: &str, expect: Result<&[&str], &str>| {
            let (reloader, current) = reloader();
            let got = reloader.reload(config(text)).map_err(|e| e.to_string());
            match (&got, expect) {
                (Ok(changed), Ok(expect)) => assert_eq!(changed, expect, "{text}"),
                (Err(error), Err(part)) => {
                    assert!(error.contains(part), "{error}");
                    assert_eq!(current.borrow().config, config(OLD), "{text}");
                }
                _ => panic!("{text}: {got:?}"),
            }
        };
        check(OLD, Ok(&[]));
        check(&format!("{OLD}deadline = '9s'"), Ok(&["deadline"]));
        check(&format!("{OLD}[retry]\nhedge = 'off'"), Ok(&["retry"]));
        check(&format!("{OLD}[[routes]]\nmatch = '/'\ntries = 1"), Ok(&["routes"]));
        check(&format!("{OLD}[pool]\nidle = 1\n[log]\naccess = true"), Ok(&["pool", "log"]));
        let other = OLD.replace("workers = 2", "workers = 3").replace("127.0.0.1:0", "127.0.0.1:1");
        check(&format!("{other}deadline = '9s'"), Err("listen, workers cannot be changed"));
        check(&format!("{OLD}admin = '127.0.0.1:1'"), Err("admin cannot"));
        check(&format!("{OLD}[log]\nformat = 'json'"), Err("log.format cannot"));
    }

    #[test]
    fn what_a_change_does_not_touch_goes_on() {
        let (reloader, current) = reloader();
        let first = current.borrow().clone();
        reloader.reload(config(&format!("{OLD}deadline = '9s'"))).unwrap();
        let second = current.borrow().clone();
        assert!(Arc::ptr_eq(&first.origins, &second.origins));
        assert!(Arc::ptr_eq(&first.budget, &second.budget));
        assert!(Arc::ptr_eq(first.cache.as_ref().unwrap(), second.cache.as_ref().unwrap()));

        let text = OLD.replace("'http://a'", "'http://a', 'http://b'");
        reloader.reload(config(&format!("{text}[cache]\nsize = '0'\n[retry]\nbudget_ratio = 0.5"))).unwrap();
        let third = current.borrow().clone();
        assert_eq!(third.origins.endpoints.upstreams.len(), 2);
        assert!(third.cache.is_none());
        assert!(!Arc::ptr_eq(&second.budget, &third.budget));
        assert!(Arc::ptr_eq(&first.metrics, &third.metrics));
    }
}
