//! Which fields of a request select among an answer's variants (RFC 9111 §4.1), when some of them are the proxy's own.

use http::header::{FORWARDED, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields that the proxy writes, different for each client or request.
static PER_CLIENT: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-request-id")];

/// Fields that the proxy writes from what the cache's key holds anyway.
static IN_KEY: [HeaderName; 3] =
    [HOST, HeaderName::from_static("x-forwarded-host"), HeaderName::from_static("x-forwarded-proto")];

/// The fields named by `Vary` with the values of the request sent to the origin; `None` when the answer is for one
/// client only. `trust` says whether clients' `X-Forwarded-Proto` and `-Host` are passed on.
pub fn selectors(
    vary: Vec<HeaderName>,
    sent: &HeaderMap,
    trust: bool,
) -> Option<Vec<(HeaderName, Vec<HeaderValue>)>> {
    if vary.iter().any(|name| PER_CLIENT.contains(name)) {
        return None;
    }
    let selects = |name: &HeaderName| *name != HOST && (trust || !IN_KEY.contains(name));
    let values = |name: &HeaderName| sent.get_all(name).iter().map(owned).collect();
    Some(vary.into_iter().filter(selects).map(|name| (name.clone(), values(&name))).collect())
}

/// The value in memory of its own, not in the buffer that the request was read into.
fn owned(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("it was a field value before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_own_fields_do_not_split_the_cache() {
        let check = |vary: &[&'static str], trust: bool, expect: Option<&[&str]>| {
            let vary = vary.iter().map(|n| HeaderName::from_static(n)).collect();
            let got = selectors(vary, &HeaderMap::new(), trust);
            let names = got.as_ref().map(|s| s.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>());
            assert_eq!(names.as_deref(), expect);
        };
        check(&["accept", "cookie"], false, Some(&["accept", "cookie"]));
        check(&["x-forwarded-proto", "host", "accept"], false, Some(&["accept"]));
        check(&["x-forwarded-proto", "host"], true, Some(&["x-forwarded-proto"]));
        check(&["accept", "x-forwarded-for"], false, None);
    }
}
