//! Stored answers, bounded by the bytes that they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AGE, HeaderMap};
use http::{HeaderName, HeaderValue, StatusCode};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::hash::BuildHasher;
use tokio::time::Instant;

use super::decide::{Ask, Candidate, usable};
use super::key::{Key, KeyRef};
use super::{CacheResult, StorePolicy};
use crate::config::CacheConfig;

/// Answers kept of one resource, one per combination of the fields in `Vary`.
const MOST_VARIANTS: usize = 16;
/// Bookkeeping per answer beside its texts, in bytes: the structures here and in the library, rounded up.
const OVERHEAD: u64 = 512;
/// Bookkeeping per field of a head, in bytes.
const FIELD_OVERHEAD: u64 = 64;
/// Counters against which a store checks that nothing was invalidated meanwhile.
const GENERATIONS: usize = 1024;

/// One stored answer, complete and ready to be given.
#[derive(Debug)]
pub struct Stored {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without `Age`.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
    /// The request's fields that select it, with the values of the request that it answered.
    vary: Vec<(HeaderName, Vec<HeaderValue>)>,
    received: Instant,
    initial_age: Duration,
    lifetime: Duration,
    for_everyone: bool,
}

/// What is known of an answer beside its head and body.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The request's fields that select it, with their values.
    pub vary: Vec<(HeaderName, Vec<HeaderValue>)>,
    /// When its head came.
    pub received: Instant,
    /// Its age at that moment.
    pub initial_age: Duration,
    /// How long it is fresh, age at arrival included.
    pub lifetime: Duration,
    /// Whether it is marked as meant for everyone.
    pub for_everyone: bool,
}

impl Stored {
    /// An answer with texts of its own: nothing of the buffers that it was read into is kept alive.
    pub fn new(status: StatusCode, headers: &HeaderMap, body: Bytes, meta: Meta) -> Self {
        let mut headers = compact(headers);
        headers.remove(AGE);
        let Meta { vary, received, initial_age, lifetime, for_everyone } = meta;
        Self { status, headers, body, vary, received, initial_age, lifetime, for_everyone }
    }

    /// Its age at `now`.
    pub fn age(&self, now: Instant) -> Duration {
        self.initial_age + now.saturating_duration_since(self.received)
    }

    fn selected_by(&self, request: &HeaderMap) -> bool {
        self.vary.iter().all(|(name, values)| request.get_all(name).iter().eq(values))
    }

    fn candidate(&self, now: Instant) -> Candidate {
        Candidate { age: self.age(now), lifetime: self.lifetime, for_everyone: self.for_everyone }
    }

    fn weight(&self) -> u64 {
        let field = |name: &HeaderName, value: &HeaderValue| {
            name.as_str().len() as u64 + value.len() as u64 + FIELD_OVERHEAD
        };
        let head: u64 = self.headers.iter().map(|(n, v)| field(n, v)).sum();
        let vary: u64 = self.vary.iter().flat_map(|(n, vs)| vs.iter().map(move |v| field(n, v))).sum();
        head + vary + self.body.len() as u64 + OVERHEAD
    }
}

/// The fields with all values in one allocation of their own.
fn compact(headers: &HeaderMap) -> HeaderMap {
    let mut text = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    headers.values().for_each(|value| text.extend_from_slice(value.as_bytes()));
    let mut text = text.freeze();
    headers
        .iter()
        .map(|(name, value)| {
            let own = HeaderValue::from_maybe_shared(text.split_to(value.len()))
                .expect("it was a field value before");
            (name.clone(), own)
        })
        .collect()
}

/// All stored answers of one resource, newest first.
#[derive(Clone, Debug)]
struct Variants(Arc<[Arc<Stored>]>);

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Variants> for ByBytes {
    fn weight(&self, key: &Key, variants: &Variants) -> u64 {
        key.len() as u64 + variants.0.iter().map(|v| v.weight()).sum::<u64>()
    }
}

/// What was found for a request.
#[derive(Clone, Debug)]
pub enum Found {
    /// An answer that may be given, and its age.
    Fresh(Arc<Stored>, Duration),
    /// None, and why.
    Nothing(CacheResult),
}

/// The state of a resource when its answer was asked for; see [`Cache::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u32);

/// All stored answers.
#[derive(Debug)]
pub struct Cache {
    entries: quick_cache::sync::Cache<Key, Variants, ByBytes>,
    generations: Box<[AtomicU32]>,
    hasher: DefaultHashBuilder,
    largest: u64,
    policy: StorePolicy,
}

impl Cache {
    /// An empty cache.
    pub fn new(config: &CacheConfig) -> Self {
        let largest = config.entry.min(config.size);
        // The library gives each shard an equal share of the memory and stores nothing larger than that.
        let shards = (config.size / largest.saturating_mul(8).max(1)).clamp(1, 64);
        let options = OptionsBuilder::new()
            .shards(shards as usize)
            .estimated_items_capacity((config.size / 16_384).max(16) as usize)
            .weight_capacity(config.size)
            .build()
            .expect("capacities are given");
        let hasher = DefaultHashBuilder::default();
        let entries = quick_cache::sync::Cache::with_options(
            options,
            ByBytes,
            hasher.clone(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        let generations = (0..GENERATIONS).map(|_| AtomicU32::new(0)).collect();
        let policy = StorePolicy { default_ttl: config.default_ttl };
        Self { entries, generations, hasher, largest, policy }
    }

    /// The operator's say in what is stored.
    pub fn policy(&self) -> StorePolicy {
        self.policy
    }

    /// Largest answer that is stored, in bytes.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Memory of all stored answers, in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Number of resources with stored answers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Looks for an answer to a request that lets the cache look. What is stored of a GET also answers a HEAD.
    pub fn find(&self, key: &KeyRef<'_>, ask: &Ask, request: &HeaderMap, now: Instant) -> Found {
        let found = self.find_exactly(&key.with_head(false), ask, request, now);
        match found {
            Found::Nothing(_) if key.is_head() => self.find_exactly(key, ask, request, now),
            _ => found,
        }
    }

    fn find_exactly(&self, key: &KeyRef<'_>, ask: &Ask, request: &HeaderMap, now: Instant) -> Found {
        let Some(variants) = self.entries.get(key) else { return Found::Nothing(CacheResult::Miss) };
        let Some(stored) = variants.0.iter().find(|v| v.selected_by(request)) else {
            return Found::Nothing(CacheResult::VaryMiss);
        };
        match usable(ask, stored.candidate(now)) {
            CacheResult::Hit => Found::Fresh(stored.clone(), stored.age(now)),
            not => Found::Nothing(not),
        }
    }

    /// The state of a resource now, to be handed to [`Cache::insert`] with the answer to a request made now.
    pub fn generation(&self, key: &KeyRef<'_>) -> Generation {
        Generation(self.generation_of(key).load(Ordering::Acquire))
    }

    fn generation_of(&self, key: &KeyRef<'_>) -> &AtomicU32 {
        &self.generations[self.hasher.hash_one(key) as usize % GENERATIONS]
    }

    /// Stores an answer, in the place of one that the same requests select. An answer that was asked for before
    /// the resource was invalidated may be older than the change: it is not stored. Returns whether it was.
    pub fn insert(&self, key: Key, stored: Stored, asked: Generation) -> bool {
        if self.generation(&key.as_ref()) != asked || stored.weight() > self.largest.saturating_add(OVERHEAD)
        {
            return false;
        }
        let old = self.entries.peek(&key.as_ref());
        let kept = old.iter().flat_map(|v| v.0.iter()).filter(|v| v.vary != stored.vary).cloned();
        let mut variants = vec![];
        let names = |s: &Stored| s.vary.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        // RFC 9111 §4.1: what the resource varies by is what its newest answer says.
        variants.extend(kept.filter(|v| names(v) == names(&stored)).take(MOST_VARIANTS - 1));
        variants.insert(0, Arc::new(stored));
        self.entries.insert(key, Variants(variants.into()));
        true
    }

    /// Forgets all that is stored of a resource, and all that is on its way to be.
    pub fn invalidate(&self, key: &KeyRef<'_>) {
        for head in [false, true] {
            let key = key.with_head(head);
            self.generation_of(&key).fetch_add(1, Ordering::AcqRel);
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
