//! How long an answer stays fresh (RFC 9111 §4.2.1) and how old it was when it came (§4.2.3).

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES};
use http::{HeaderMap, HeaderName};

use super::control::{Directives, seconds};

/// The lifetime that an answer gives itself, for a shared cache; `None` when it gives none.
pub fn lifetime(headers: &HeaderMap, directives: &Directives, received: SystemTime) -> Option<Duration> {
    if let Some(explicit) = directives.s_maxage.or(directives.max_age) {
        return Some(explicit);
    }
    let mut expires = headers.get_all(EXPIRES).iter();
    let first = expires.next()?;
    // Several, or one that is no date (`0`): long over (RFC 9111 §5.3).
    if expires.next().is_some() {
        return Some(Duration::ZERO);
    }
    let Some(expires) = first.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok()) else {
        return Some(Duration::ZERO);
    };
    Some(expires.duration_since(date(headers, DATE).unwrap_or(received)).unwrap_or_default())
}

/// The age that an answer has when its head is here, by what it says itself and by its date; `delay` is the time
/// that its request took.
pub fn initial_age(headers: &HeaderMap, received: SystemTime, delay: Duration) -> Duration {
    let apparent =
        date(headers, DATE).map_or(Duration::ZERO, |d| received.duration_since(d).unwrap_or_default());
    // Of several the first counts, and what is no number counts as nothing (RFC 9111 §5.1).
    let said = headers
        .get(AGE)
        .and_then(|age| seconds(age.as_bytes().split(|&b| b == b',').next().unwrap_or_default()))
        .unwrap_or_default();
    apparent.max(said + delay)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const MINUTE_AGO: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
    const IN_A_MINUTE: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn lifetimes() {
        let now = httpdate::parse_http_date(NOW).unwrap();
        let check = |fields: &[(&'static str, &'static str)], expect: Option<u64>| {
            let headers = headers(fields);
            let got = lifetime(&headers, &Directives::of(&headers), now);
            assert_eq!(got, expect.map(Duration::from_secs), "{fields:?}");
        };
        check(&[], None);
        check(&[("cache-control", "max-age=10")], Some(10));
        check(&[("cache-control", "max-age=10, s-maxage=5")], Some(5));
        check(&[("cache-control", "max-age=10"), ("expires", "0")], Some(10));
        check(&[("expires", IN_A_MINUTE)], Some(60));
        check(&[("expires", IN_A_MINUTE), ("date", MINUTE_AGO)], Some(120));
        check(&[("expires", MINUTE_AGO)], Some(0));
        check(&[("expires", "0")], Some(0));
        check(&[("expires", IN_A_MINUTE), ("expires", IN_A_MINUTE)], Some(0));
    }

    #[test]
    fn ages() {
        let now = httpdate::parse_http_date(NOW).unwrap();
        let check = |fields: &[(&'static str, &'static str)], delay: u64, expect: u64| {
            let got = initial_age(&headers(fields), now, Duration::from_secs(delay));
            assert_eq!(got, Duration::from_secs(expect), "{fields:?} {delay}");
        };
        check(&[], 0, 0);
        check(&[], 3, 3);
        check(&[("age", "20")], 3, 23);
        check(&[("age", "20"), ("date", MINUTE_AGO)], 3, 60);
        check(&[("age", "70"), ("date", MINUTE_AGO)], 0, 70);
        check(&[("date", IN_A_MINUTE)], 0, 0);
        check(&[("age", "5, 90")], 0, 5);
        check(&[("age", "old")], 0, 0);
    }
}
