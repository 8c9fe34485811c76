//! The configuration file, as it is written. Every value is checked while it is read, so that an error has its line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::ports::Ports;
use crate::endpoint::Endpoint;
use crate::kernel::{MAX_RING, MIN_RING};
use crate::routes::{Configured, Pattern};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) metrics_listen: Option<Endpoint>,
    pub(super) feed: Option<Endpoint>,
    pub(super) cgroup: Option<PathBuf>,
    #[serde(default)]
    pub(super) ports: Ports,
    #[serde(default)]
    pub(super) unread: bool,
    pub(super) request_log: Option<PathBuf>,
    #[serde(default)]
    pub(super) bpf_stats: bool,
    pub(super) proxy: Option<Endpoint>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) services: BTreeMap<Port, ServiceName>,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
}

/// `[limits]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) ring_bytes: RingBytes,
    pub(super) series: Series,
    pub(super) routes_per_service: RoutesPerService,
}

/// `[[routes]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    #[serde(rename = "match")]
    pattern: Pattern,
    service: Option<ServiceName>,
}

impl From<Route> for Configured {
    fn from(route: Route) -> Self {
        Self { pattern: route.pattern, service: route.service.map(|name| name.0) }
    }
}

/// A port, as the key of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Port(pub(super) u16);

impl TryFrom<String> for Port {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse::<u16>() {
            // Written as numbers are, so that no port is named twice: `"080"` beside `"80"`.
            Ok(port @ 1..) if port.to_string() == text => Ok(Self(port)),
            Ok(_) | Err(_) => Err(format!("{text:?} is no port: write a number from 1 to 65535, in quotes")),
        }
    }
}

/// The name of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ServiceName(pub(super) String);

/// Longest name of a service, in bytes.
const MAX_NAME: usize = 64;

impl TryFrom<String> for ServiceName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let good = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+".contains(&b));
        match good {
            true => Ok(Self(name)),
            false => Err(format!(
                "{name:?} is no name for a service: 1 to {MAX_NAME} letters, digits and any of - _ . : / @ +"
            )),
        }
    }
}

/// A number with bounds and a default.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($type:ty) = $default:expr, $range:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(try_from = "u64")]
        pub(super) struct $name(pub(super) $type);

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(n: u64) -> Result<Self, String> {
                <$type>::try_from(n)
                    .ok()
                    .filter(|n| ($range).contains(n))
                    .map(Self)
                    .ok_or_else(|| format!("{n} is out of range: from {} to {}", ($range).start(), ($range).end()))
            }
        }
    };
}

bounded! {
    /// Most series: each takes about 1 KiB here, and up to 20 lines of `/metrics`.
    Series(usize) = 2000, 64..=20_000usize
}

bounded! {
    /// Most learnt routes of one service.
    RoutesPerService(usize) = 200, 1..=2000usize
}

/// Size of the kernel's ring buffer. The default holds some 37,000 records: a third of a second at 100,000
/// requests/s.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct RingBytes(pub(super) u32);

impl Default for RingBytes {
    fn default() -> Self {
        Self(8 * 1024 * 1024)
    }
}

impl TryFrom<u64> for RingBytes {
    type Error = String;

    fn try_from(n: u64) -> Result<Self, String> {
        u32::try_from(n)
            .ok()
            .filter(|n| n.is_power_of_two() && (MIN_RING..=MAX_RING).contains(n))
            .map(Self)
            .ok_or_else(|| {
                format!("{n} is no size for the ring: a power of two from {MIN_RING} to {MAX_RING}")
            })
    }
}
