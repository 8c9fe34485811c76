//! What becomes of a message's head on its way through: each file one rule, assembled here.

pub mod fields;
pub mod forwarded;
pub mod hop;
pub mod target;
pub mod via;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts as RequestHead;
use http::response::Parts as ResponseHead;
use http::{HeaderValue, Method, Uri, Version};

use crate::client::Client;
use crate::config::{ForwardedConfig, HostPolicy};
use crate::error::Refusal;
use crate::request_id::X_REQUEST_ID;
use crate::retry::Repeat;

pub use fields::Fields;
pub use target::Target;

/// The head that origins get, made once for all tries.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Method, unchanged.
    pub method: Method,
    /// Target in origin form (or `*`).
    pub uri: &'a Uri,
    /// All fields, but the `Host` only with `own_host`.
    pub fields: Fields,
    /// Whether the fields have a `Host`; without one, each origin gets its own.
    pub own_host: bool,
    /// Whether it may be sent more than once.
    pub repeat: Repeat,
}

/// Turns a client's head into what origins get.
pub fn request<'a>(
    mut head: RequestHead,
    target: &'a Target,
    id: HeaderValue,
    client: &Client,
    config: &ForwardedConfig,
) -> Outgoing<'a> {
    let headers = &mut head.headers;
    // For the fields that are added below.
    headers.reserve(8);
    hop::strip(headers);
    // hyper answers the client's expectation itself as soon as an origin takes the body.
    headers.remove(EXPECT);
    via::append(headers, via::of(head.version));
    forwarded::append(headers, client, target.host.as_ref(), config.trust);
    headers.insert(X_REQUEST_ID, id);
    match (config.host, &target.host) {
        // What the client sent stays as it is; only the absolute form overrides it.
        (HostPolicy::Preserve, Some(host)) if target.absolute => {
            headers.insert(HOST, host.clone());
        }
        (HostPolicy::Preserve, Some(_)) => {}
        (HostPolicy::Origin, _) | (_, None) => {
            headers.remove(HOST);
        }
    }
    let own_host = config.host == HostPolicy::Preserve && target.host.is_some();
    let repeat = Repeat::of(&head.method, headers);
    Outgoing { method: head.method, uri: &target.uri, fields: Fields::new(head.headers), own_host, repeat }
}

/// Why an origin's answer cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCoding;

/// Turns an origin's head into what clients get.
///
/// An answer in a transfer coding other than `chunked` is refused: the coding is undone by nobody on the way, and
/// without its field the client would take the coded bytes for the content.
pub fn response(head: &mut ResponseHead) -> Result<(), UnknownCoding> {
    let headers = &mut head.headers;
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(UnknownCoding);
        }
        // RFC 9112 §6.3: the coding overrides the length, which must not be passed on.
        headers.remove(CONTENT_LENGTH);
    }
    hop::strip(headers);
    via::append(headers, via::of(head.version));
    head.version = Version::HTTP_11;
    Ok(())
}

/// Refuses requests that are not passed on at all, whatever their target.
pub fn admit(head: &RequestHead) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    if hop::asks_for_upgrade(&head.headers) {
        return Err(Refusal::Upgrade);
    }
    if head.headers.get_all(TRANSFER_ENCODING).iter().any(|c| !c.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Refusal::TransferCoding);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    #[test]
    fn a_coded_answer_is_refused_and_chunked_overrides_the_length() {
        let check = |fields: &[(&str, &str)], expect: Result<Option<&str>, UnknownCoding>| {
            let mut builder = Response::builder();
            for (name, value) in fields {
                builder = builder.header(*name, *value);
            }
            let (mut head, ()) = builder.body(()).unwrap().into_parts();
            let got = response(&mut head);
            let length = head.headers.get(CONTENT_LENGTH).map(|v| v.to_str().unwrap());
            assert_eq!(got.map(|()| length), expect, "{fields:?}");
        };
        check(&[("content-length", "5")], Ok(Some("5")));
        check(&[("transfer-encoding", "Chunked"), ("content-length", "5")], Ok(None));
        check(&[("transfer-encoding", "gzip, chunked")], Err(UnknownCoding));
        check(&[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], Err(UnknownCoding));
    }
}
