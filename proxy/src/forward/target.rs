//! Which resource a request is for: target form and `Host` (RFC 9112 §3.2), brought to origin form.

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Version};

use crate::error::Refusal;

/// A request's target, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Origin form (`/path?query`), or `*`.
    pub uri: Uri,
    /// The host asked for; `None` only from HTTP/1.0 clients that name none.
    pub host: Option<HeaderValue>,
    /// Whether the target was in absolute form, so that `host` overrides the request's `Host`.
    pub absolute: bool,
}

impl Target {
    /// Takes the target out of the head of a request that is no CONNECT.
    pub fn of(head: &mut Parts) -> Result<Self, Refusal> {
        let mut hosts = head.headers.get_all(HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(Refusal::Host);
        }
        if host.is_none() && head.version >= Version::HTTP_11 {
            return Err(Refusal::Host);
        }
        if let Some(authority) = head.uri.authority() {
            return Self::absolute(&head.uri, authority);
        }
        // An empty Host is right for targets without an authority, but names no resource here.
        if let Some(host) = host
            && !is_host(host.as_bytes())
        {
            return Err(Refusal::Host);
        }
        let path = head.uri.path();
        if path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS) {
            Ok(Self { host: host.cloned(), uri: std::mem::take(&mut head.uri), absolute: false })
        } else {
            Err(Refusal::Target)
        }
    }

    /// Absolute form: the target's authority overrides `Host` (RFC 9112 §3.2.2).
    fn absolute(uri: &Uri, authority: &Authority) -> Result<Self, Refusal> {
        if uri.scheme() != Some(&Scheme::HTTP) || !is_host(authority.as_str().as_bytes()) {
            return Err(Refusal::Target);
        }
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = if path.starts_with('/') { path.parse() } else { format!("/{path}").parse() };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::Target)?;
        Ok(Self { uri: uri.map_err(|_| Refusal::Target)?, host: Some(host), absolute: true })
    }

    /// Path and query, as the cache's key needs them.
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }
}

/// Which bytes plain host names are made of: this is asked of every byte of every request's `Host`.
const IN_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        byte += 1;
    }
    table
};

/// Whether `bytes` are a host with an optional port (RFC 3986 §3.2), without user information.
fn is_host(bytes: &[u8]) -> bool {
    // Nearly all are plain names, with or without a port: decided without the full parser.
    let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
    let (name, port) = bytes.split_at(colon);
    let plain = name.iter().all(|&b| IN_NAMES[usize::from(b)]);
    let digit = |n: u32, b: &u8| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0'));
    let port = match port {
        [] => Some(0),
        [_, digits @ ..] if (1..=5).contains(&digits.len()) => digits.iter().try_fold(0, digit),
        _ => None,
    };
    if plain && !name.is_empty() && port.is_some_and(|port| port <= u32::from(u16::MAX)) {
        return true;
    }
    // The grammar also has room for commas and the like, which no real name needs and some parsers split at.
    bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b"-._~%[]:".contains(&b))
        && Authority::try_from(bytes).is_ok_and(|authority| {
            let named_port = authority.as_str().len() > authority.host().len();
            !authority.host().is_empty() && (!named_port || authority.port_u16().is_some())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn target(
        method: &str,
        uri: &str,
        hosts: &[&str],
        version: Version,
    ) -> Result<(String, Option<String>), Refusal> {
        let mut builder = Request::builder().method(method).uri(uri).version(version);
        for host in hosts {
            builder = builder.header(HOST, *host);
        }
        let target = Target::of(&mut builder.body(()).unwrap().into_parts().0)?;
        Ok((target.uri.to_string(), target.host.map(|h| h.to_str().unwrap().to_owned())))
    }

    #[test]
    fn forms_and_hosts() {
        let ok = |uri: &str, host: &str| Ok((uri.to_owned(), Some(host.to_owned())));
        let get = |uri: &str, hosts: &[&str]| target("GET", uri, hosts, Version::HTTP_11);
        assert_eq!(get("/a?b", &["hosp.example:81"]), ok("/a?b", "hosp.example:81"));
        assert_eq!(get("/", &["[::1]:80"]), ok("/", "[::1]:80"));
        assert_eq!(get("http://other.example/x?y", &["hosp.example"]), ok("/x?y", "other.example"));
        assert_eq!(get("http://other.example", &["hosp.example"]), ok("/", "other.example"));
        assert_eq!(target("OPTIONS", "*", &["a"], Version::HTTP_11), ok("*", "a"));
        assert_eq!(target("GET", "/", &[], Version::HTTP_10), Ok(("/".into(), None)));

        assert_eq!(get("/", &[]), Err(Refusal::Host));
        assert_eq!(get("/", &["a", "a"]), Err(Refusal::Host));
        assert_eq!(get("/", &[""]), Err(Refusal::Host));
        assert_eq!(get("/", &["me@a"]), Err(Refusal::Host));
        assert_eq!(get("/", &["a/b"]), Err(Refusal::Host));
        assert_eq!(get("/", &["a:port"]), Err(Refusal::Host));
        assert_eq!(get("/", &["a:"]), Err(Refusal::Host));
        assert_eq!(get("/", &["a:65536"]), Err(Refusal::Host));
        assert_eq!(get("/", &["a:65535"]), ok("/", "a:65535"));
        assert_eq!(get("https://a/", &["a"]), Err(Refusal::Target));
        assert_eq!(get("http://me@a/", &["a"]), Err(Refusal::Target));
        assert_eq!(get("*", &["a"]), Err(Refusal::Target));
    }

    proptest! {
        #[test]
        fn hosts_from_outside_never_panic_and_carry_no_separators(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if is_host(&bytes) {
                prop_assert!(!bytes.iter().any(|b| b" /?#@,;\"".contains(b)));
            }
        }
    }
}
