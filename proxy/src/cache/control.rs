//! `Cache-Control` (RFC 9111 §5.2), of requests and of answers.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

/// The directives that this cache acts on. Unknown ones are ignored, as RFC 9111 §5.2.3 asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, with field names or without: the form with names is taken for the stricter one.
    pub no_cache: bool,
    /// `private`, with field names or without, likewise.
    pub private: bool,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// `max-age`.
    pub max_age: Option<Duration>,
    /// `s-maxage`.
    pub s_maxage: Option<Duration>,
    /// `min-fresh`.
    pub min_fresh: Option<Duration>,
}

impl Directives {
    /// Of all `Cache-Control` lines in `headers`.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            directives.add(value.as_bytes());
        }
        directives
    }

    /// Of a request: where it has no `Cache-Control`, `Pragma: no-cache` counts (RFC 9111 §5.4).
    pub fn of_request(headers: &HeaderMap) -> Self {
        if headers.contains_key(CACHE_CONTROL) {
            return Self::of(headers);
        }
        let pragma = |value: &http::HeaderValue| {
            value.as_bytes().split(|&b| b == b',').any(|p| p.trim_ascii().eq_ignore_ascii_case(b"no-cache"))
        };
        Self { no_cache: headers.get_all(PRAGMA).iter().any(pragma), ..Self::default() }
    }

    fn add(&mut self, mut list: &[u8]) {
        while let Some((member, rest)) = next_member(list) {
            list = rest;
            let at = member.iter().position(|&b| b == b'=').unwrap_or(member.len());
            let (name, value) = member.split_at(at);
            let name = name.trim_ascii();
            let value = value.get(1..).unwrap_or_default();
            match name {
                name if name.eq_ignore_ascii_case(b"no-store") => self.no_store = true,
                name if name.eq_ignore_ascii_case(b"no-cache") => self.no_cache = true,
                name if name.eq_ignore_ascii_case(b"private") => self.private = true,
                name if name.eq_ignore_ascii_case(b"public") => self.public = true,
                name if name.eq_ignore_ascii_case(b"must-revalidate") => self.must_revalidate = true,
                name if name.eq_ignore_ascii_case(b"only-if-cached") => self.only_if_cached = true,
                name if name.eq_ignore_ascii_case(b"max-age") => shorten(&mut self.max_age, value),
                name if name.eq_ignore_ascii_case(b"s-maxage") => shorten(&mut self.s_maxage, value),
                name if name.eq_ignore_ascii_case(b"min-fresh") => lengthen(&mut self.min_fresh, value),
                _ => {}
            }
        }
    }
}

/// A repeated or broken lifetime makes the answer as short-lived as any reading of it (RFC 9111 §4.2.1).
fn shorten(known: &mut Option<Duration>, value: &[u8]) {
    let new = seconds(value).unwrap_or_default();
    *known = Some(known.map_or(new, |old| old.min(new)));
}

/// A repeated or broken demand counts in its strictest reading.
fn lengthen(known: &mut Option<Duration>, value: &[u8]) {
    let new = seconds(value).unwrap_or(Duration::MAX);
    *known = Some(known.map_or(new, |old| old.max(new)));
}

/// `delta-seconds` (RFC 9111 §1.2.2), bare or quoted; too large a number counts as 2^31.
pub fn seconds(text: &[u8]) -> Option<Duration> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    const LARGEST: u64 = 1 << 31;
    let number = text.iter().try_fold(0u64, |n, digit| {
        let n = n * 10 + u64::from(digit - b'0');
        (n < LARGEST).then_some(n)
    });
    Some(Duration::from_secs(number.unwrap_or(LARGEST)))
}

/// The first member of a comma-separated list and the rest; commas within quotes separate nothing.
fn next_member(list: &[u8]) -> Option<(&[u8], &[u8])> {
    if list.is_empty() {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    let end = list
        .iter()
        .position(|&b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        })
        .unwrap_or(list.len());
    Some((list[..end].trim_ascii(), list.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn parsed(lines: &[&str]) -> Directives {
        Directives::of(&lines.iter().map(|l| (CACHE_CONTROL, l.parse().unwrap())).collect())
    }

    #[test]
    fn directives() {
        let none = Directives::default();
        let age = |s| Some(Duration::from_secs(s));
        let check = |lines: &[&str], expect: Directives| assert_eq!(parsed(lines), expect, "{lines:?}");
        check(&[""], none);
        check(&["max-age=60"], Directives { max_age: age(60), ..none });
        check(&["MAX-AGE = \"60\" , Public"], Directives { max_age: age(60), public: true, ..none });
        check(&["private=\"x-a, x-b\", max-age=5"], Directives { private: true, max_age: age(5), ..none });
        check(&["no-cache=\"set-cookie\""], Directives { no_cache: true, ..none });
        check(&["x=\"no-store\", y=\"\\\", no-store\""], none);
        check(&["no-store", "s-maxage=1"], Directives { no_store: true, s_maxage: age(1), ..none });
        check(&["max-age=60, max-age=10"], Directives { max_age: age(10), ..none });
        check(&["max-age=abc"], Directives { max_age: age(0), ..none });
        check(&["max-age=-1"], Directives { max_age: age(0), ..none });
        check(&["max-age"], Directives { max_age: age(0), ..none });
        check(&["max-age=99999999999999999999"], Directives { max_age: age(1 << 31), ..none });
        check(&["min-fresh=x"], Directives { min_fresh: Some(Duration::MAX), ..none });
        check(
            &[",,must-revalidate,,only-if-cached"],
            Directives { must_revalidate: true, only_if_cached: true, ..none },
        );
    }

    #[test]
    fn pragma_counts_only_where_cache_control_is_absent() {
        let pragma = (PRAGMA, HeaderValue::from_static("x, No-Cache"));
        let control = (CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        assert!(Directives::of_request(&HeaderMap::from_iter([pragma.clone()])).no_cache);
        assert!(!Directives::of_request(&HeaderMap::from_iter([pragma, control])).no_cache);
    }

    proptest! {
        #[test]
        fn bytes_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Directives::default().add(&bytes);
        }

        #[test]
        fn a_directive_is_found_wherever_it_stands(
            before in "([a-z]{1,8}(=\"[a-z, ]{0,8}\")?,){0,4}",
            after in "(,[a-z]{1,8}(=[0-9]{1,4})?){0,4}",
        ) {
            let list = format!("{before}no-store{after}");
            prop_assert!(parsed(&[&list]).no_store);
        }
    }
}
