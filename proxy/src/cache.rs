//! Keeping origins' answers (RFC 9111): [`control`] parses, [`decide`] and [`freshness`] judge, [`store`]
//! holds, [`fill`] collects what is to be held while it streams by, [`hit`] answers from it.
//!
//! A mistake here shows one person's answer to another. Decisions are therefore pure functions with tables for
//! tests, and where the RFC leaves a choice, the answer is not stored.

pub mod control;
pub mod decide;
pub mod fill;
pub mod freshness;
pub mod hit;
pub mod key;
pub mod select;
pub mod store;

use std::time::Duration;

use http::HeaderValue;

pub use store::{Cache, Stored};

/// What the cache had to say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// Answered from the cache.
    Hit,
    /// Nothing stored for the target.
    Miss,
    /// Something stored, but for other values of the fields in `Vary`.
    VaryMiss,
    /// Something stored, but no longer fresh.
    Stale,
    /// The client asked for the origin's own answer.
    Request,
    /// A method that changes things.
    Method,
    /// A request that is never answered from the cache, or the cache is off.
    Bypass,
}

impl CacheResult {
    /// Every result, in the order of [`CacheResult::index`].
    pub const ALL: [Self; 7] =
        [Self::Hit, Self::Miss, Self::VaryMiss, Self::Stale, Self::Request, Self::Method, Self::Bypass];

    /// The value of the `result` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::VaryMiss => "vary_miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Method => "method",
            Self::Bypass => "bypass",
        }
    }

    /// Position in [`CacheResult::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The member of `Cache-Status` (RFC 9211 §2) for this result; `stored` says whether the answer is being
    /// stored on its way.
    pub fn status_field(self, stored: bool) -> HeaderValue {
        match (self, stored) {
            (Self::Hit, _) => const { HeaderValue::from_static("hosp-proxy; hit") },
            (Self::Miss, true) => const { HeaderValue::from_static("hosp-proxy; fwd=uri-miss; stored") },
            (Self::Miss, false) => const { HeaderValue::from_static("hosp-proxy; fwd=uri-miss") },
            (Self::VaryMiss, true) => const { HeaderValue::from_static("hosp-proxy; fwd=vary-miss; stored") },
            (Self::VaryMiss, false) => const { HeaderValue::from_static("hosp-proxy; fwd=vary-miss") },
            (Self::Stale, true) => const { HeaderValue::from_static("hosp-proxy; fwd=stale; stored") },
            (Self::Stale, false) => const { HeaderValue::from_static("hosp-proxy; fwd=stale") },
            (Self::Request, true) => const { HeaderValue::from_static("hosp-proxy; fwd=request; stored") },
            (Self::Request, false) => const { HeaderValue::from_static("hosp-proxy; fwd=request") },
            (Self::Method, _) => const { HeaderValue::from_static("hosp-proxy; fwd=method") },
            (Self::Bypass, _) => const { HeaderValue::from_static("hosp-proxy; fwd=bypass") },
        }
    }
}

/// The operator's say in what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorePolicy {
    /// Lifetime of 200s that may be stored but carry none; zero stores none of those.
    pub default_ttl: Duration,
}
