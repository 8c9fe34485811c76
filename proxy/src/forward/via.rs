//! `Via` (RFC 9110 §7.6.3): that the message came through here, and by which version it arrived.

use http::header::VIA;
use http::{HeaderMap, HeaderValue, Version};

/// The field's member for a message received with `version`.
pub fn of(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_10 => const { HeaderValue::from_static("1.0 hosp-proxy") },
        _ => const { HeaderValue::from_static("1.1 hosp-proxy") },
    }
}

/// Adds `member` after those of the hops before.
pub fn append(headers: &mut HeaderMap, member: HeaderValue) {
    headers.append(VIA, member);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_hops_are_kept_in_order() {
        let mut headers = HeaderMap::from_iter([(VIA, HeaderValue::from_static("1.0 fred"))]);
        append(&mut headers, of(Version::HTTP_11));
        let all: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(all, ["1.0 fred", "1.1 hosp-proxy"]);
    }
}
