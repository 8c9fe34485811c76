//! Answering from the cache: the stored answer, or 304 when the client has it already (RFC 9111 §4.3.2).

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, VARY, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::Stored;

/// Fields of a 304 (RFC 9110 §15.4.5), with those that say where it came from.
static NOT_MODIFIED: [HeaderName; 9] = [
    CACHE_CONTROL,
    CONTENT_LOCATION,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    VARY,
    VIA,
    HeaderName::from_static("cache-status"),
];

/// The answer that `stored` gives to a request at the age of `age`.
pub fn answer(stored: &Stored, age: Duration, request: &HeaderMap) -> Response<Bytes> {
    let mut response = if stored.status == StatusCode::OK && client_has_it(&stored.headers, request) {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        for name in &NOT_MODIFIED {
            for value in stored.headers.get_all(name) {
                response.headers_mut().append(name.clone(), value.clone());
            }
        }
        response
    } else {
        let mut response = Response::new(stored.body.clone());
        *response.status_mut() = stored.status;
        *response.headers_mut() = stored.headers.clone();
        response
    };
    response.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
    response
}

/// Whether the request's conditions say that the client has this very answer. `If-None-Match` silences
/// `If-Modified-Since` (RFC 9110 §13.2.2).
fn client_has_it(stored: &HeaderMap, request: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let Some(own) = stored.get(ETAG).map(|e| opaque(e.as_bytes())) else { return false };
        return request.get_all(IF_NONE_MATCH).iter().any(|list| {
            list.as_bytes().trim_ascii() == b"*" || tags(list.as_bytes()).any(|tag| opaque(tag) == own)
        });
    }
    let date = |headers: &HeaderMap, name: HeaderName| {
        httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
    };
    match (date(request, IF_MODIFIED_SINCE), date(stored, LAST_MODIFIED)) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// An entity tag without its mark of weakness: here weak comparison is right (RFC 9110 §13.1.2).
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The members of a list of entity tags; commas may stand within a tag's quotes.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    list.split(move |&b| {
        quoted ^= b == b'"';
        b == b',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::store::Meta;
    use tokio::time::Instant;

    fn status(stored: &[(HeaderName, &'static str)], request: &[(HeaderName, &'static str)]) -> u16 {
        let map = |fields: &[(HeaderName, &'static str)]| -> HeaderMap {
            fields.iter().map(|(n, v)| (n.clone(), HeaderValue::from_static(v))).collect()
        };
        let meta = Meta {
            vary: vec![],
            received: Instant::now(),
            initial_age: Duration::ZERO,
            lifetime: Duration::from_secs(1),
            for_everyone: false,
        };
        let stored = Stored::new(StatusCode::OK, &map(stored), Bytes::from_static(b"body"), meta);
        let response = answer(&stored, Duration::from_secs(7), &map(request));
        assert_eq!(response.headers()[AGE], "7");
        assert_eq!(response.body().is_empty(), response.status() == StatusCode::NOT_MODIFIED);
        response.status().as_u16()
    }

    #[test]
    fn a_client_that_has_it_gets_304() {
        const EARLIER: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
        const LATER: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let check =
            |stored: &[(HeaderName, &'static str)], request: &[(HeaderName, &'static str)], expect| {
                assert_eq!(status(stored, request), expect, "{stored:?} {request:?}");
            };
        check(&[(ETAG, "\"a\"")], &[], 200);
        check(&[(ETAG, "\"a\"")], &[(IF_NONE_MATCH, "\"a\"")], 304);
        check(&[(ETAG, "\"a\"")], &[(IF_NONE_MATCH, "\"x,y\", W/\"a\"")], 304);
        check(&[(ETAG, "W/\"a\"")], &[(IF_NONE_MATCH, "\"a\"")], 304);
        check(&[(ETAG, "\"a\"")], &[(IF_NONE_MATCH, "*")], 304);
        check(&[(ETAG, "\"a\"")], &[(IF_NONE_MATCH, "\"b\"")], 200);
        check(&[], &[(IF_NONE_MATCH, "\"b\"")], 200);
        check(&[(LAST_MODIFIED, EARLIER)], &[(IF_MODIFIED_SINCE, LATER)], 304);
        check(&[(LAST_MODIFIED, LATER)], &[(IF_MODIFIED_SINCE, EARLIER)], 200);
        check(&[(LAST_MODIFIED, EARLIER)], &[(IF_MODIFIED_SINCE, LATER), (IF_NONE_MATCH, "\"b\"")], 200);
        check(&[(LAST_MODIFIED, EARLIER)], &[(IF_MODIFIED_SINCE, "yesterday")], 200);
    }
}
