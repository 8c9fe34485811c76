//! Which ports are observed.

use std::str::FromStr;

use serde::Deserialize;

use crate::kernel::MAX_PORTS;

/// Ports of servers, on this host or elsewhere, whose connections are observed; all, when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<u16>")]
pub struct Ports(Vec<u16>);

/// Why a list is none of ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPorts {
    /// Not a number, or none that a port can have.
    #[error("{0:?} is no port: write numbers from 1 to 65535")]
    NoPort(String),
    /// More than the programs have places for.
    #[error("{0} ports: at most {max} can be chosen; leave them out to observe all", max = Ports::MAX)]
    TooMany(usize),
}

impl Ports {
    /// Most ports that can be chosen.
    pub const MAX: usize = MAX_PORTS;

    /// The ports, sorted, each once.
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

impl TryFrom<Vec<u16>> for Ports {
    type Error = BadPorts;

    fn try_from(mut ports: Vec<u16>) -> Result<Self, BadPorts> {
        ports.sort_unstable();
        ports.dedup();
        match ports.first() {
            Some(0) => Err(BadPorts::NoPort("0".to_owned())),
            _ if ports.len() > Self::MAX => Err(BadPorts::TooMany(ports.len())),
            _ => Ok(Self(ports)),
        }
    }
}

impl FromStr for Ports {
    type Err = BadPorts;

    /// `80,8080`
    fn from_str(text: &str) -> Result<Self, BadPorts> {
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| BadPorts::NoPort(text.to_owned()));
        text.split(',').map(port).collect::<Result<Vec<u16>, _>>()?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_ports() {
        let ports = |text: &str| text.parse::<Ports>().map(|ports| ports.0);
        assert_eq!(ports("8080, 80,8080"), Ok(vec![80, 8080]));
        for (text, part) in [("", ""), ("80,", ""), ("0", "0"), ("65536", "65536"), ("http", "http")] {
            assert_eq!(ports(text), Err(BadPorts::NoPort(part.to_owned())), "{text}");
        }
        let many: Vec<String> = (1..=17).map(|port: u16| port.to_string()).collect();
        assert_eq!(ports(&many.join(",")), Err(BadPorts::TooMany(17)));
        assert!(ports(&many[..16].join(",")).is_ok());
        assert_eq!(Ports::try_from(Vec::new()), Ok(Ports::default()), "all of them");
    }
}
