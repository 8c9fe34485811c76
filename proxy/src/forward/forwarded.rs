//! `Forwarded` (RFC 7239) and its forerunners `X-Forwarded-For`, `-Proto` and `-Host`.
//!
//! Lists grow by one member per hop, so whoever reads them counts from the right, and what a client puts in
//! front proves nothing. `X-Forwarded-Proto` and `-Host` are no lists: a client's own are passed on only when
//! the configuration says that a trusted proxy sets them.

use std::net::IpAddr;

use bytes::BytesMut;
use http::header::{Entry, FORWARDED};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::Client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Adds this hop. `host` is the host that the client asked for, if it named one.
pub fn append(headers: &mut HeaderMap, client: &Client, host: Option<&HeaderValue>, trust: bool) {
    let address = client.forwarded_for();
    match headers.entry(X_FORWARDED_FOR) {
        Entry::Vacant(none) => {
            none.insert(address.clone());
        }
        // Many programs read only the first line of this field, so it stays one line.
        Entry::Occupied(mut lines) => {
            let joined = join(lines.iter(), address);
            lines.insert(joined);
        }
    }
    headers.append(FORWARDED, client.forwarded(host));
    if !(trust && headers.contains_key(X_FORWARDED_PROTO)) {
        headers.insert(X_FORWARDED_PROTO, const { HeaderValue::from_static("http") });
    }
    if !(trust && headers.contains_key(X_FORWARDED_HOST)) {
        match host {
            Some(host) => headers.insert(X_FORWARDED_HOST, host.clone()),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }
}

/// All lines of a field, then `last`, as one line.
fn join<'a>(lines: impl Iterator<Item = &'a HeaderValue>, last: &HeaderValue) -> HeaderValue {
    let mut text = BytesMut::new();
    for value in lines.filter(|v| !v.is_empty()) {
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(last.as_bytes());
    HeaderValue::from_maybe_shared(text.freeze()).expect("field values joined by commas are a field value")
}

/// The member of `Forwarded` for a client at `address` that asked for `host`.
pub fn element(address: IpAddr, host: Option<&HeaderValue>) -> HeaderValue {
    let mut text = match address.to_canonical() {
        IpAddr::V4(v4) => format!("for={v4}"),
        // RFC 7239 §6: brackets and colons are no token, so the node is quoted.
        IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
    };
    if let Some(host) = host.and_then(|h| h.to_str().ok()).filter(|h| !h.contains(['"', '\\'])) {
        text.push_str(";host=");
        if host.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            text.push_str(host);
        } else {
            text.push('"');
            text.push_str(host);
            text.push('"');
        }
    }
    text.push_str(";proto=http");
    HeaderValue::try_from(text).expect("addresses and visible ASCII are a field value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_follow_rfc_7239() {
        let check = |address: &str, host: Option<&'static str>, expect: &str| {
            let host = host.map(HeaderValue::from_static);
            assert_eq!(element(address.parse().unwrap(), host.as_ref()), expect);
        };
        check("192.0.2.43", Some("hosp.example"), "for=192.0.2.43;host=hosp.example;proto=http");
        check("192.0.2.43", Some("hosp.example:81"), "for=192.0.2.43;host=\"hosp.example:81\";proto=http");
        check("2001:db8::17", None, "for=\"[2001:db8::17]\";proto=http");
        check("::ffff:192.0.2.1", None, "for=192.0.2.1;proto=http");
    }

    fn fields(given: &[(&'static str, &'static str)], trust: bool) -> HeaderMap {
        let mut headers =
            given.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let client = Client::at("192.0.2.9".parse().unwrap());
        append(&mut headers, &client, Some(&HeaderValue::from_static("hosp.example")), trust);
        headers
    }

    #[test]
    fn the_list_grows_on_one_line() {
        let headers = fields(&[("x-forwarded-for", "203.0.113.5"), ("x-forwarded-for", "10.0.0.1")], false);
        let all: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        assert_eq!(all, ["203.0.113.5, 10.0.0.1, 192.0.2.9"]);
        let headers = fields(&[("forwarded", "for=203.0.113.5")], false);
        let all: Vec<_> = headers.get_all(FORWARDED).iter().collect();
        assert_eq!(all, ["for=203.0.113.5", "for=192.0.2.9;host=hosp.example;proto=http"]);
    }

    #[test]
    fn a_client_cannot_claim_https_unless_it_is_trusted() {
        let claim = [("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example")];
        let headers = fields(&claim, false);
        assert_eq!(
            (&headers[X_FORWARDED_PROTO], &headers[X_FORWARDED_HOST]),
            (&"http".parse().unwrap(), &"hosp.example".parse().unwrap())
        );
        let headers = fields(&claim, true);
        assert_eq!(
            (&headers[X_FORWARDED_PROTO], &headers[X_FORWARDED_HOST]),
            (&"https".parse().unwrap(), &"evil.example".parse().unwrap())
        );
    }
}
