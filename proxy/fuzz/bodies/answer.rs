//! An origin's answer: what it says about caching and retrying never panics or overflows, personal answers are never
//! stored for others, and what is stored is found again by the request that it answered, and by no other variant's.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hosp_proxy::cache::control::Directives;
use hosp_proxy::cache::decide::{Ask, Storing, may_store, storing};
use hosp_proxy::cache::store::{Cache, Found, Meta};
use hosp_proxy::cache::{StorePolicy, Stored, freshness, hit, key::KeyRef, select};
use hosp_proxy::config::CacheConfig;
use hosp_proxy::forward::{self, Target};
use hosp_proxy::retry::retry_after;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Uri, Version};
use tokio::time::Instant;

/// Most fields of a head, as hyper has it.
const MOST_FIELDS: usize = 100;

/// When the answers come: 2026-11-24.
const NOW: Duration = Duration::from_secs(1_795_478_400);

/// Reads `bytes` as fields of a request and, behind the first empty line, an answer's head.
pub(crate) fn check(bytes: &[u8]) {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (request, answer) = bytes.split_at(at);
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let request = match httparse::parse_headers(request, &mut fields) {
        Ok(httparse::Status::Complete((_, fields))) => map(fields),
        _ => Some(HeaderMap::new()),
    };
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    if !matches!(parsed.parse(answer), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    if let (Some(request), Some(status), Some(headers)) = (request, status, map(parsed.headers)) {
        judge(&request, status, headers);
    }
}

fn map(fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let field = |field: &httparse::Header<'_>| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(field.value).ok()?))
    };
    fields.iter().map(field).collect()
}

fn judge(request: &HeaderMap, status: StatusCode, headers: HeaderMap) {
    let now = SystemTime::UNIX_EPOCH + NOW;
    let _ = retry_after(&headers, now);
    let directives = Directives::of(&headers);
    let _ = freshness::lifetime(&headers, &directives, now);
    let initial_age = freshness::initial_age(&headers, now, Duration::from_secs(1));

    let mut head = Response::new(()).into_parts().0;
    (head.status, head.headers, head.version) = (status, headers, Version::HTTP_11);
    if forward::response(&mut head).is_err() {
        return;
    }
    assert!(!head.headers.contains_key(header::TRANSFER_ENCODING));
    assert!(!head.headers.contains_key(header::CONNECTION));

    let ask = Ask::of(&Method::GET, request);
    let policy = StorePolicy { default_ttl: Duration::from_secs(120) };
    let Some(storing) = storing(&ask, request, status, &head.headers, now, policy) else { return };
    assert!(may_store(&ask, &head.headers, policy), "stored without a closer look: {head:?}");
    assert!(!directives.no_store && !directives.private && !directives.no_cache, "{head:?}");
    assert!(!head.headers.contains_key(header::SET_COOKIE), "{head:?}");
    let Storing { lifetime, for_everyone, vary } = storing;
    assert!(!lifetime.is_zero());
    let Some(vary) = select::selectors(vary, request, false) else { return };
    let meta = Meta { vary, received: Instant::now(), initial_age, lifetime, for_everyone };
    keep(request, &ask, &head.headers, status, meta);
}

/// Stores the answer, and asks for it again.
fn keep(request: &HeaderMap, ask: &Ask, headers: &HeaderMap, status: StatusCode, meta: Meta) {
    let cache = Cache::new(&CacheConfig { size: 1 << 20, entry: 1 << 19, default_ttl: Duration::ZERO });
    let target = Target { uri: Uri::from_static("/"), host: None, absolute: false };
    let key = KeyRef::of(&Method::GET, &target);
    let (now, initial_age, lifetime) = (meta.received, meta.initial_age, meta.lifetime);
    let for_everyone = meta.for_everyone;
    let varies = meta.vary.clone();
    let stored = Stored::new(status, headers, Bytes::from_static(b"body"), meta);
    if !cache.insert(key.to_key(), stored, cache.generation(&key)) || ask.look.is_err() {
        return;
    }
    if let Found::Fresh(stored, age) = cache.find(&key, ask, request, now) {
        assert!(age == initial_age && age < lifetime);
        assert!(for_everyone || !ask.personal, "somebody's answer is given to others");
        let answer = hit::answer(&stored, age, request);
        assert!(answer.headers().contains_key(header::AGE));
        assert!(answer.status() == status || answer.status() == StatusCode::NOT_MODIFIED);
    }
    // Without the fields that select it, it is nobody's.
    if varies.iter().any(|(_, values)| !values.is_empty()) {
        let nobody = cache.find(&key, &Ask::of(&Method::GET, &HeaderMap::new()), &HeaderMap::new(), now);
        assert!(matches!(nobody, Found::Nothing(_)), "found without {varies:?}");
    }
}
