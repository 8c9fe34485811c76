//! Gives every path a route: a configured one, a learnt template, or `_other`, with a hard cap on how many there are.
//!
//! Paths come from strangers. A path that the service itself does not know (404 and its like) never makes a new
//! route, so that a scanner cannot use up the cap before the real routes have been seen.

mod pattern;
mod template;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hosp_agent_ebpf::{Record, flags};
use quick_cache::{Equivalent, UnitWeighter, unsync::Cache};

pub use pattern::{Pattern, PatternError};

use crate::names::{NameId, Names};

/// A configured route, and the service that it is for (every service, when there is none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// What its paths look like.
    pub pattern: Pattern,
    /// Only for this service.
    pub service: Option<String>,
}

/// Paths whose route is remembered. A path takes about 150 bytes.
const CACHED_PATHS: usize = 4096;

/// All routes. Belongs to the owner.
pub struct Routes {
    configured: Vec<Configured>,
    cache: Cache<CachedPath, NameId, UnitWeighter, RandomState>,
    names: Names<Arc<str>>,
    known: HashSet<(NameId, NameId), RandomState>,
    learnt: HashMap<NameId, usize, RandomState>,
    per_service: usize,
    overflowed: u64,
    scratch: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CachedPath {
    service: NameId,
    cut: bool,
    path: Box<[u8]>,
}

/// A [`CachedPath`] that owns nothing. Hashes the same: fields in the same order, a boxed slice like a slice.
#[derive(Hash)]
struct Lookup<'a> {
    service: NameId,
    cut: bool,
    path: &'a [u8],
}

impl Equivalent<CachedPath> for Lookup<'_> {
    fn equivalent(&self, key: &CachedPath) -> bool {
        self.service == key.service && self.cut == key.cut && *self.path == *key.path
    }
}

impl Routes {
    /// `configured` routes come first; of learnt ones, each service gets at most `per_service`.
    pub fn new(configured: Vec<Configured>, per_service: usize) -> Self {
        Self {
            configured,
            cache: Cache::with(
                CACHED_PATHS,
                CACHED_PATHS as u64,
                UnitWeighter,
                RandomState::default(),
                quick_cache::unsync::DefaultLifecycle::default(),
            ),
            // The caps on services and on each service's routes bound this table.
            names: Names::new(usize::MAX),
            known: HashSet::default(),
            learnt: HashMap::default(),
            per_service,
            overflowed: 0,
            scratch: String::with_capacity(template::MAX_TEMPLATE),
        }
    }

    /// The route of a request to `service`, which is called `name`.
    pub fn route(&mut self, service: NameId, name: &str, record: &Record) -> NameId {
        let lookup = Lookup { service, cut: record.flags & flags::PATH_CUT != 0, path: record.path() };
        let cached = self.cache.get(&lookup).copied();
        let route = cached.or_else(|| self.resolve(name, &lookup, record.status));
        if cached.is_none()
            && let Some(route) = route
        {
            let Lookup { service, cut, path } = lookup;
            self.cache.insert(CachedPath { service, cut, path: path.into() }, route);
        }
        self.overflowed += u64::from(route == Some(NameId::OTHER));
        route.unwrap_or(NameId::OTHER)
    }

    /// `None` where this answer is no evidence that the route exists; the next one may be.
    fn resolve(&mut self, name: &str, lookup: &Lookup<'_>, status: u16) -> Option<NameId> {
        let Lookup { service, cut, path } = *lookup;
        let configured = self.configured.iter().find(|route| {
            route.service.as_deref().is_none_or(|only| only == name) && route.pattern.matches(path, cut)
        });
        if let Some(route) = configured {
            return Some(self.names.intern(route.pattern.text()));
        }
        if !template::write(path, cut, &mut self.scratch) {
            return None;
        }
        if let Some(route) = self.names.get(self.scratch.as_str())
            && self.known.contains(&(service, route))
        {
            return Some(route);
        }
        if denies_route(status) {
            return None;
        }
        let learnt = self.learnt.entry(service).or_default();
        if *learnt >= self.per_service {
            return Some(NameId::OTHER);
        }
        *learnt += 1;
        let route = self.names.intern(&self.scratch);
        self.known.insert((service, route));
        Some(route)
    }

    /// The name of a route.
    pub fn text(&self, route: NameId) -> &Arc<str> {
        self.names.text(route)
    }

    /// Requests that were counted under `_other` because their service had its full number of routes.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

/// Statuses by which a server says that it knows no such resource, or did not understand its name.
const fn denies_route(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 410 | 414 | 431)
}

#[cfg(test)]
mod tests;
