//! Where an agent's feed is: `unix:PATH` or `HOST:PORT`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where an agent's feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, written `unix:PATH`.
    Unix(PathBuf),
    /// A TCP endpoint, written `HOST:PORT` (`[HOST]:PORT` for IPv6).
    Tcp(String),
}

impl Address {
    /// Where an agent listens unless told otherwise.
    pub const DEFAULT: &str = "unix:/run/hosp/agent.sock";
}

/// Why text is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `unix:` and nothing after it.
    #[error("no path after `unix:`; write unix:/run/hosp/agent.sock")]
    NoPath,
    /// Neither form.
    #[error("neither unix:PATH nor HOST:PORT; write for example unix:/run/hosp/agent.sock or 10.0.0.7:9465")]
    Neither,
    /// The port is no number from 1 to 65535.
    #[error("`{0}` is no port; ports are numbers from 1 to 65535")]
    Port(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(AddressError::NoPath) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::Neither)?;
        let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || host.contains('/') || bare_ipv6 {
            return Err(AddressError::Neither);
        }
        match port.parse::<u16>() {
            Ok(1..) => Ok(Self::Tcp(text.to_owned())),
            _ => Err(AddressError::Port(port.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(endpoint) => f.write_str(endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written_alike() {
        for text in
            ["unix:/run/hosp/agent.sock", "unix:relative.sock", "127.0.0.1:9465", "[::1]:1", "web-1:65535"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        use AddressError::{Neither, NoPath, Port};
        let cases = [
            ("unix:", NoPath),
            ("", Neither),
            ("/run/hosp/agent.sock", Neither),
            (":9465", Neither),
            ("::1:80", Neither),
            ("http://web-1:80", Neither),
            ("web-1:0", Port("0".into())),
            ("web-1:65536", Port("65536".into())),
            ("web-1:", Port(String::new())),
        ];
        for (text, expect) in cases {
            assert_eq!(text.parse::<Address>(), Err(expect), "{text}");
        }
    }
}
