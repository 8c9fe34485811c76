//! Free TCP ports on loopback.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where to look: below the ports that Linux gives to outgoing connections (32768 and up), so that a server
/// killed and started again does not find its port taken by somebody's connection meanwhile.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// How many ports this process has looked at: one that was given out, and is not bound yet, is not given again.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// `N` addresses on loopback on which nobody listens now.
pub fn free<const N: usize>() -> io::Result<[SocketAddr; N]> {
    // Commands that run side by side begin at different places.
    let length = u32::from(RANGE.end - RANGE.start);
    let offset = std::process::id().wrapping_mul(7) % length;
    let candidates = (0..length)
        .map(|_| offset.wrapping_add(LOOKED_AT.fetch_add(1, Relaxed)) % length)
        .filter_map(|n| u16::try_from(n).ok())
        .map(|n| RANGE.start + n);
    let mut found = BTreeSet::new();
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for port in candidates {
        if found.len() == N {
            break;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() && found.insert(port) {
            addresses[found.len() - 1] = address;
        }
    }
    if found.len() < N {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port from 20000 to 31999 on loopback"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_differ_and_can_be_bound() {
        let ports: [SocketAddr; 4] = free().unwrap();
        let bound: Vec<TcpListener> =
            ports.iter().map(|address| TcpListener::bind(address).unwrap()).collect();
        assert_eq!(bound.len(), 4);
        assert!(ports.iter().all(|address| RANGE.contains(&address.port())));
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let [taken] = free().unwrap();
        let _listener = TcpListener::bind(taken).unwrap();
        let next: [SocketAddr; 1] = free().unwrap();
        assert_ne!(next[0], taken);
    }
}
