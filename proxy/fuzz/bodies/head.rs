//! A request's head from a client: the scanner for smuggled framing agrees with httparse, however the head is cut,
//! and what goes on to an origin says who sent it, once, and nothing that concerns only the client's connection.

use std::net::{IpAddr, Ipv4Addr};

use hosp_proxy::cache::decide::Ask;
use hosp_proxy::cache::key::KeyRef;
use hosp_proxy::client::Client;
use hosp_proxy::config::{ForwardedConfig, HostPolicy};
use hosp_proxy::forward::{self, Target};
use hosp_proxy::framing::Scanner;
use hosp_proxy::request_id::{Ids, X_REQUEST_ID, is_valid};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

/// Most fields of a head, as hyper has it.
const MOST_FIELDS: usize = 100;

/// Fields that go no further than the connection on which they came.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
];

/// Reads the head that `bytes` are; their first byte says how it is cut.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let scanner = Scanner::default();
    bytes.chunks(usize::from(cut).max(1)).for_each(|piece| scanner.read(piece));
    let both = scanner.take_verdict(true);

    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    if !matches!(request.parse(bytes), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let has = |name: &str| request.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    assert_eq!(both, has("content-length") && has("transfer-encoding"), "{}", bytes.escape_ascii());
    if let Some(head) = head(&request) {
        pass_on(head);
    }
}

/// The head as hyper hands it over; nothing where hyper refuses it.
fn head(request: &httparse::Request<'_, '_>) -> Option<Parts> {
    let mut head = Request::new(()).into_parts().0;
    head.method = Method::from_bytes(request.method?.as_bytes()).ok()?;
    head.uri = request.path?.parse::<Uri>().ok()?;
    head.version = if request.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(head)
}

fn pass_on(mut head: Parts) {
    let id = Ids::new(1, 1).of(&head.headers);
    assert!(is_valid(id.as_bytes()), "{id:?}");
    if forward::admit(&head).is_err() {
        return;
    }
    let Ok(target) = Target::of(&mut head) else { return };
    assert!(target.path_and_query().starts_with(['/', '*']), "{target:?}");
    if let Some(host) = &target.host {
        assert!(!host.as_bytes().iter().any(|b| b" /?#@,;\"\\".contains(b)), "{host:?}");
    }
    let key = KeyRef::of(&head.method, &target).to_key();
    assert_eq!(key.as_ref().to_key(), key);
    // Asking is all: what the answer says decides the rest.
    let _ = Ask::of(&head.method, &head.headers);

    let client = Client::at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)));
    for (trust, host) in [(false, HostPolicy::Preserve), (true, HostPolicy::Origin)] {
        let config = ForwardedConfig { trust, host };
        let outgoing = forward::request(head.clone(), &target, id.clone(), &client, &config);
        let headers = outgoing.fields.to_map();
        check_outgoing(&headers, trust, &target);
        assert_eq!(outgoing.own_host, headers.contains_key(header::HOST));
    }
}

fn check_outgoing(headers: &HeaderMap, trust: bool, target: &Target) {
    for name in HOP_BY_HOP {
        assert!(!headers.contains_key(name), "{name} is passed on: {headers:?}");
    }
    let lines = |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let [chain] = lines("x-forwarded-for")[..] else { panic!("not one X-Forwarded-For: {headers:?}") };
    assert!(chain.ends_with(b"192.0.2.9"), "{headers:?}");
    let forwarded = lines("forwarded");
    let last = forwarded.last().expect("this hop is told");
    assert!(last.starts_with(b"for=192.0.2.9;") && last.ends_with(b";proto=http"), "{headers:?}");
    assert!(lines("via").last().is_some_and(|via| via.ends_with(b" hosp-proxy")), "{headers:?}");
    assert_eq!(headers.get_all(X_REQUEST_ID).iter().count(), 1, "{headers:?}");
    if !trust {
        assert_eq!(lines("x-forwarded-proto"), [b"http"], "{headers:?}");
        let host: Vec<&[u8]> = target.host.iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(lines("x-forwarded-host"), host, "{headers:?}");
    }
}
