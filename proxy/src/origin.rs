//! One origin: where it is, as the command line and the configuration name it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderValue;
use http::uri::{Scheme, Uri};
use serde::Deserialize;

/// An origin's address: `http://host[:port]`, nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    host: String,
    port: u16,
    authority: HeaderValue,
}

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("`{0}` is not a URL: write http://HOST or http://HOST:PORT")]
    NotUrl(String),
    /// A scheme that the proxy does not speak to origins.
    #[error("`{0}`: origins are reached over cleartext http:// only")]
    Scheme(String),
    /// More than a scheme, a host and a port.
    #[error("`{0}`: an origin is only http://HOST[:PORT], without user, path or query")]
    Excess(String),
    /// Port 0.
    #[error("`{0}`: port 0 cannot be connected to")]
    Port(String),
}

impl Origin {
    /// Host name or address to resolve; IPv6 addresses without their brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port, 80 when the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, if it is named by an address and needs no look-up.
    pub fn address(&self) -> Option<SocketAddr> {
        self.host.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, self.port))
    }

    /// The `Host` of requests whose client gave none (HTTP/1.0).
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let uri: Uri = text.parse().map_err(|_| OriginError::NotUrl(text.to_owned()))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(OriginError::NotUrl(text.to_owned()));
        };
        if *scheme != Scheme::HTTP {
            return Err(OriginError::Scheme(text.to_owned()));
        }
        let path_is_empty = matches!(uri.path_and_query().map(|p| p.as_str()), None | Some("/" | ""));
        if authority.as_str().contains('@') || !path_is_empty {
            return Err(OriginError::Excess(text.to_owned()));
        }
        let port = authority.port_u16().unwrap_or(80);
        // A port that is no number at all (`http://host:`, `:99999`) parses as an authority without one.
        let named = authority.as_str().len() > authority.host().len();
        if port == 0 || (named && authority.port_u16().is_none()) {
            return Err(OriginError::Port(text.to_owned()));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority =
            HeaderValue::from_str(authority.as_str()).map_err(|_| OriginError::NotUrl(text.to_owned()))?;
        if host.is_empty() {
            return Err(OriginError::NotUrl(text.to_owned()));
        }
        Ok(Self { host, port, authority })
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

/// `http://host:port`, as it stands in metric labels.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        let check = |text: &str, expect: Result<&str, fn(String) -> OriginError>| {
            let got = text.parse::<Origin>().map(|o| o.to_string());
            let expect = expect.map(str::to_owned).map_err(|e| e(text.to_owned()));
            assert_eq!(got, expect, "{text}");
        };
        check("http://hosp.example", Ok("http://hosp.example:80"));
        check("http://hosp.example/", Ok("http://hosp.example:80"));
        check("http://10.0.0.7:9000", Ok("http://10.0.0.7:9000"));
        check("http://[::1]:9000", Ok("http://[::1]:9000"));
        check("https://hosp.example", Err(OriginError::Scheme));
        check("http://hosp.example/notes", Err(OriginError::Excess));
        check("http://hosp.example/?q", Err(OriginError::Excess));
        check("http://me@hosp.example", Err(OriginError::Excess));
        check("http://hosp.example:0", Err(OriginError::Port));
        check("http://hosp.example:99999", Err(OriginError::Port));
        check("hosp.example:80", Err(OriginError::NotUrl));
        check("", Err(OriginError::NotUrl));
    }
}
