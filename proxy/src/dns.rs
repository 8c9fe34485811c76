//! Which addresses an origin's name has, IPv4 and IPv6, asked anew whenever the last answer expires: load balancers move.
//!
//! `/etc/resolv.conf` and `/etc/hosts` are read for each look-up, so that changes to them count without a restart.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::{Instant, sleep, timeout};

use crate::endpoint::Upstream;
use crate::origins::Origins;

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Servers to ask, instead of the system's.
    pub servers: Vec<SocketAddr>,
    /// Least time from one look-up to the next, whatever the answer's TTL.
    pub min_ttl: Duration,
    /// Most time.
    pub max_ttl: Duration,
}

impl DnsConfig {
    /// From the last of so many failures in a row to the next look-up: longer each time, but never so long that an
    /// origin stays away for much longer than its name did.
    fn after_failures(&self, failures: u32) -> Duration {
        self.min_ttl.saturating_mul(1 << (failures - 1).min(20)).min(RETRY.max(self.min_ttl))
    }
}

/// Longest pause after a look-up that failed.
const RETRY: Duration = Duration::from_secs(10);
/// How long one look-up may take, all servers together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("no answer within {PATIENCE:?}")]
    Timeout,
    #[error("the name has no address")]
    Empty,
}

/// Keeps the endpoints of `upstream` as DNS says, for ever. An address needs no look-up.
pub(crate) async fn follow(origins: Arc<Origins>, upstream: Arc<Upstream>) {
    if upstream.origin.address().is_some() {
        return;
    }
    let config = &origins.config().dns;
    let (host, port) = (upstream.origin.host(), upstream.origin.port());
    let mut failures = 0;
    loop {
        let pause = match look_up(config, host).await {
            Ok((addresses, ttl)) => {
                let addresses: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
                if origins.endpoints.update(&upstream, &addresses, Instant::now().into_std()) {
                    tracing::info!(host, ?addresses, "an origin's addresses have changed");
                    origins.queue.wake_all();
                }
                failures = 0;
                ttl.clamp(config.min_ttl, config.max_ttl.max(config.min_ttl))
            }
            // Addresses that were right a moment ago are better than none.
            Err(error) => {
                origins.metrics.lookups_failed.inc();
                tracing::warn!(host, %error, "cannot look up an origin's addresses; what is known stays");
                failures += 1;
                config.after_failures(failures)
            }
        };
        sleep(pause).await;
    }
}

/// The addresses of `host`, and for how long they hold.
async fn look_up(config: &DnsConfig, host: &str) -> Result<(BTreeSet<IpAddr>, Duration), LookupError> {
    let resolver = resolver(config)?;
    let found = timeout(PATIENCE, resolver.lookup_ip(host)).await.map_err(|_| LookupError::Timeout)??;
    let all: BTreeSet<IpAddr> = found.iter().collect();
    let routed: BTreeSet<IpAddr> = all.iter().copied().filter(is_routed).collect();
    let addresses = if routed.is_empty() { all } else { routed };
    if addresses.is_empty() {
        return Err(LookupError::Empty);
    }
    Ok((addresses, found.valid_until().saturating_duration_since(std::time::Instant::now())))
}

/// Whether this host has a way there: one without IPv6 would meet nothing but failures at the name's IPv6 addresses.
/// Nothing is sent to find out.
fn is_routed(address: &IpAddr) -> bool {
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((unspecified, 0)).and_then(|socket| socket.connect((*address, 9))).is_ok()
}

fn resolver(config: &DnsConfig) -> Result<TokioResolver, NetError> {
    let mut builder = if config.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = config.servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        Resolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    (udp.port, tcp.port) = (address.port(), address.port());
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_that_fails_is_repeated_soon_and_then_less_often() {
        let config =
            DnsConfig { servers: vec![], min_ttl: Duration::from_secs(1), max_ttl: Duration::from_secs(60) };
        let pauses = [1, 2, 3, 4, 5, 99].map(|failures| config.after_failures(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn this_host_has_a_way_to_itself() {
        assert!(is_routed(&Ipv4Addr::LOCALHOST.into()));
    }
}
