//! Hand-over: a new process takes the place of a running one, and no client is refused meanwhile.
//!
//! On SIGUSR2 the running process starts its program anew, from the same path and with the same flags, and gives it
//! its listening sockets over a Unix socket on standard input ([`give`]). The new process takes them ([`take`]), reads
//! the configuration, starts to serve and says so; only then does the old one drain. Should the new one fail, the old
//! one goes on. Both hold the very same sockets, so that no queue of connections is ever closed with somebody in it.

pub mod doors;
pub mod give;
pub mod take;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// Listening sockets of a predecessor, to be claimed by their addresses.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Those that clients come to.
    listeners: Vec<TcpListener>,
    /// That of the admin interface.
    admin: Option<OwnedFd>,
}

impl Inherited {
    /// All sockets that listen on `address`; for port 0, those on the first port that nobody has claimed yet.
    pub fn claim(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        let fits = |bound: &SocketAddr| {
            bound.ip() == address.ip() && (address.port() == 0 || bound.port() == address.port())
        };
        let bound = self.listeners.iter().filter_map(|l| l.local_addr().ok()).find(fits);
        match bound {
            Some(bound) => {
                self.listeners.extract_if(.., |l| l.local_addr().is_ok_and(|own| own == bound)).collect()
            }
            None => Vec::new(),
        }
    }

    /// The admin interface's socket, wherever it listens.
    pub fn claim_admin(&mut self) -> Option<OwnedFd> {
        self.admin.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen;

    #[test]
    fn sockets_are_claimed_by_address_and_once() {
        let two = std::num::NonZeroUsize::new(2).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let groups = [(); 2].map(|()| listen::bind(any, two, Vec::new()).unwrap());
        let bound = groups.each_ref().map(|sockets| sockets[0].local_addr().unwrap());
        let mut inherited = Inherited { listeners: groups.into_iter().flatten().collect(), admin: None };
        let mut check = |address: SocketAddr, expect: Option<SocketAddr>| {
            let claimed = inherited.claim(address);
            assert_eq!(claimed.len(), if expect.is_some() { 2 } else { 0 }, "{address}");
            assert!(claimed.iter().all(|l| l.local_addr().ok() == expect));
        };
        check("127.0.0.2:0".parse().unwrap(), None);
        check(bound[1], Some(bound[1]));
        check(bound[1], None);
        check(any, Some(bound[0]));
        check(any, None);
    }
}
