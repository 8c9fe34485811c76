//! Hop-by-hop fields: those that concern only one connection and go no further (RFC 9110 §7.6.1).

use http::header::{
    CONNECTION, Entry, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that `Connection` may name without effect: taking them away would change what the message means,
/// and a client could use that to hide them from the origin.
static PROTECTED: [HeaderName; 5] = [
    http::header::HOST,
    http::header::CONTENT_LENGTH,
    http::header::AUTHORIZATION,
    http::header::COOKIE,
    http::header::CACHE_CONTROL,
];

/// Takes away every hop-by-hop field: those that `Connection` names, and those that always are.
pub fn strip(headers: &mut HeaderMap) {
    // One look at the names that are there is cheaper than looking each of these up, and most messages have none.
    let (mut nominates, mut hop_by_hop) = (false, false);
    for name in headers.keys() {
        match name.as_str() {
            "connection" => nominates = true,
            "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authorization" => hop_by_hop = true,
            _ => {}
        }
    }
    if nominates {
        strip_connection(headers);
    }
    if hop_by_hop {
        for name in [
            KEEP_ALIVE,
            PROXY_CONNECTION,
            TE,
            TRANSFER_ENCODING,
            UPGRADE,
            PROXY_AUTHENTICATE,
            PROXY_AUTHORIZATION,
        ] {
            headers.remove(name);
        }
    }
}

fn strip_connection(headers: &mut HeaderMap) {
    if let Entry::Occupied(connection) = headers.entry(CONNECTION) {
        let mut values = connection.iter();
        if values.next().is_some_and(names_no_field) && values.next().is_none() {
            connection.remove();
            return;
        }
        let (_, values) = connection.remove_entry_mult();
        let nominated: Vec<HeaderName> = values.flat_map(nominations).collect();
        for name in nominated {
            headers.remove(name);
        }
    }
}

/// Whether a value of `Connection` is just one of the two options that nearly all are. They name no field, or one that
/// is taken away anyway.
fn names_no_field(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"keep-alive") || value.as_bytes().eq_ignore_ascii_case(b"close")
}

/// The fields that a value of `Connection` names.
fn nominations(value: HeaderValue) -> Vec<HeaderName> {
    options(&value)
        .filter_map(|o| HeaderName::from_bytes(o).ok())
        .filter(|name| !PROTECTED.contains(name))
        .collect()
}

/// The members of a comma-separated list, without blanks.
fn options(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|o| !o.is_empty())
}

/// Whether a request wants to leave HTTP/1.1 for good. `h2c` does not count: it may be ignored, and common
/// clients send it on every request.
pub fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && headers.get_all(CONNECTION).iter().flat_map(options).any(|o| o.eq_ignore_ascii_case(b"upgrade"))
        && headers.get_all(UPGRADE).iter().flat_map(options).any(|p| !p.eq_ignore_ascii_case(b"h2c"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse::<HeaderValue>().unwrap()))
            .collect()
    }

    #[test]
    fn nothing_hop_by_hop_is_left() {
        let check = |fields: &[(&str, &str)], expect: &[&str]| {
            let mut headers = headers(fields);
            strip(&mut headers);
            let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expect, "{fields:?}");
        };
        check(&[("accept", "*/*"), ("connection", "close")], &["accept"]);
        check(
            &[("connection", "X-Hop, x-other"), ("x-hop", "1"), ("x-other", "2"), ("x-end", "3")],
            &["x-end"],
        );
        check(&[("connection", "a"), ("connection", "b"), ("a", "1"), ("b", "2")], &[]);
        check(&[("te", "trailers"), ("keep-alive", "5"), ("proxy-connection", "x"), ("upgrade", "h2c")], &[]);
        check(&[("transfer-encoding", "chunked"), ("trailer", "x")], &["trailer"]);
        check(&[("proxy-authorization", "Basic x"), ("proxy-authenticate", "Basic")], &[]);
        check(
            &[("connection", "host, authorization, cookie"), ("host", "a"), ("cookie", "b")],
            &["cookie", "host"],
        );
        check(&[("connection", ",,, ;bad name"), ("a", "1")], &["a"]);
    }

    #[test]
    fn only_real_upgrades_count() {
        let check = |fields: &[(&str, &str)], expect: bool| {
            assert_eq!(asks_for_upgrade(&headers(fields)), expect, "{fields:?}");
        };
        check(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], true);
        check(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")], false);
        check(&[("upgrade", "websocket")], false);
        check(&[("connection", "upgrade")], false);
    }

    proptest! {
        #[test]
        fn a_nominated_field_never_passes(name in "[a-z]{1,12}", padding in "[ \t,]{0,4}") {
            let name: HeaderName = format!("x-{name}").parse().unwrap();
            let mut headers = headers(&[("connection", &format!("close,{padding}{}{padding}", name.as_str().to_uppercase()))]);
            headers.insert(&name, HeaderValue::from_static("secret"));
            strip(&mut headers);
            prop_assert!(headers.is_empty());
        }
    }
}
