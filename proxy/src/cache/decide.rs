//! Whether an answer may be stored (RFC 9111 §3) and whether a stored one may be used (§4). Pure.

use std::time::{Duration, SystemTime};

use http::header::{CACHE_CONTROL, COOKIE, EXPIRES, HeaderMap, SET_COOKIE, VARY};
use http::{HeaderName, Method, StatusCode};

use super::control::Directives;
use super::freshness::lifetime;
use super::{CacheResult, StorePolicy};

/// What a request lets the cache do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whether stored answers may be looked at; otherwise why not.
    pub look: Result<(), CacheResult>,
    /// Whether the answer may be stored, as far as the request has a say.
    pub store: bool,
    /// Whether the request carries credentials: only answers meant for everyone serve it.
    pub personal: bool,
    /// Its directives.
    pub directives: Directives,
}

impl Ask {
    /// Of a request's head.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        // One pass: on the path of every hit, eight look-ups would cost as much as the hit itself.
        let (mut personal, mut partial, mut directed) = (false, false, false);
        for name in headers.keys() {
            match name.as_str() {
                "authorization" | "cookie" => personal = true,
                // Parts of a resource, or a state of it, are neither stored nor cut out of what is.
                "range" | "if-range" | "if-match" | "if-unmodified-since" => partial = true,
                "cache-control" | "pragma" => directed = true,
                _ => {}
            }
        }
        let directives = if directed { Directives::of_request(headers) } else { Directives::default() };
        let ask = |look, store| Self { look, store, personal, directives };
        if !matches!(*method, Method::GET | Method::HEAD) {
            return ask(Err(CacheResult::Method), false);
        }
        if partial {
            return ask(Err(CacheResult::Bypass), false);
        }
        if directives.no_cache || directives.no_store {
            return ask(Err(CacheResult::Request), !directives.no_store);
        }
        ask(Ok(()), true)
    }
}

/// Whether a request may change the resource that it names, so that what is stored of it is no longer to be
/// trusted once the request has succeeded (RFC 9111 §4.4).
pub fn invalidates(method: &Method, status: StatusCode) -> bool {
    !method.is_safe() && (status.is_success() || status.is_redirection())
}

/// How an answer is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storing {
    /// How long it stays fresh, from the moment when it was made.
    pub lifetime: Duration,
    /// Whether it is marked as meant for everyone, credentials or not.
    pub for_everyone: bool,
    /// The request's fields that select it.
    pub vary: Vec<HeaderName>,
}

/// Whether an answer is worth a closer look by [`storing`]. Most answers of an application are not, and
/// this is cheaper.
pub fn may_store(ask: &Ask, headers: &HeaderMap, policy: StorePolicy) -> bool {
    if !ask.store {
        return false;
    }
    if headers.contains_key(CACHE_CONTROL) {
        return !Directives::of(headers).no_store;
    }
    !policy.default_ttl.is_zero() || headers.contains_key(EXPIRES)
}

/// Whether an answer is stored, and how.
pub fn storing(
    ask: &Ask,
    request: &HeaderMap,
    status: StatusCode,
    headers: &HeaderMap,
    received: SystemTime,
    policy: StorePolicy,
) -> Option<Storing> {
    let directives = Directives::of(headers);
    let refused = directives.no_store
        || directives.private
        // Reuse only after asking the origin: the same as not storing, for a cache that does not ask.
        || directives.no_cache
        || headers.contains_key(SET_COOKIE);
    if !ask.store || refused {
        return None;
    }
    let for_everyone = directives.public || directives.s_maxage.is_some();
    // RFC 9111 §3.5 for Authorization; for cookies the same, of our own accord.
    let allowed =
        for_everyone || !ask.personal || (directives.must_revalidate && !request.contains_key(COOKIE));
    if !allowed {
        return None;
    }
    let vary = vary(headers)?;
    let lifetime = match (lifetime(headers, &directives, received), status.as_u16()) {
        (Some(explicit), 200 | 301 | 404 | 410) => explicit,
        (None, 200) if !ask.personal => policy.default_ttl,
        _ => return None,
    };
    (!lifetime.is_zero()).then_some(Storing { lifetime, for_everyone, vary })
}

/// The fields that `Vary` names; `None` for `*` and for what is no list of names: no request matches those.
fn vary(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for value in headers.get_all(VARY) {
        for name in value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|n| !n.is_empty()) {
            if name == b"*" {
                return None;
            }
            let name = HeaderName::from_bytes(name).ok()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Some(names)
}

/// What counts when a stored answer that matches the request is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its age now.
    pub age: Duration,
    /// How long it is fresh.
    pub lifetime: Duration,
    /// Whether it is marked as meant for everyone.
    pub for_everyone: bool,
}

/// Whether a stored answer that matches the request may be used for it.
pub fn usable(ask: &Ask, candidate: Candidate) -> CacheResult {
    if ask.personal && !candidate.for_everyone {
        return CacheResult::Bypass;
    }
    if candidate.age >= candidate.lifetime {
        return CacheResult::Stale;
    }
    // The client may ask for younger or longer-lived answers than the origin vouches for (RFC 9111 §5.2.1).
    let too_old = ask.directives.max_age.is_some_and(|max| candidate.age > max);
    let too_short = ask.directives.min_fresh.is_some_and(|min| candidate.lifetime - candidate.age < min);
    if too_old || too_short { CacheResult::Request } else { CacheResult::Hit }
}

#[cfg(test)]
mod tests;
