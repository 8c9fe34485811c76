//! Listening sockets: one per worker and address, among which the kernel shares out the connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per socket; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process, or another hosp-proxy, has it.
    #[error(
        "{0} is in use: stop the program that listens there (`ss -ltnp` shows it), or choose another --listen"
    )]
    InUse(SocketAddr),
    /// A port below 1024, without the right to it.
    #[error(
        "no permission to listen on {0}: run as root, grant CAP_NET_BIND_SERVICE, or choose a port from 1024 on"
    )]
    Denied(SocketAddr),
    /// Not an address of this host.
    #[error("{0} is not an address of this host")]
    NotHere(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl ListenError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::Denied(address),
            io::ErrorKind::AddrNotAvailable => Self::NotHere(address),
            _ => Self::Other { address, source },
        }
    }
}

/// At least `workers` sockets that all listen on `address`, `inherited` ones first. Port 0 is replaced by a free one, the
/// same for all. There may be more than `workers`: clients already wait at those that a predecessor opened.
pub fn bind(
    address: SocketAddr,
    workers: NonZeroUsize,
    inherited: Vec<TcpListener>,
) -> Result<Vec<TcpListener>, ListenError> {
    let failed = |source| ListenError::new(address, source);
    if let Some(first) = inherited.first() {
        let address = first.local_addr().map_err(failed)?;
        let others = (inherited.len()..workers.get()).map(|_| listening(address).map_err(failed));
        return inherited.into_iter().map(Ok).chain(others).collect();
    }
    // With SO_REUSEPORT a second hosp-proxy of the same user would silently get half of the connections. A
    // socket without it tells whether anybody listens there.
    drop(socket(address, false).map_err(failed)?);
    let first = listening(address).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let others = (1..workers.get()).map(|_| listening(address).map_err(failed));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of a predecessor that linger in TIME_WAIT must not keep us out.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn all_workers_share_one_port() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), TWO, Vec::new()).unwrap();
        let ports: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 2);
        assert!(ports[0] != 0 && ports[0] == ports[1]);
    }

    #[test]
    fn a_port_in_use_is_noticed_even_when_its_owner_would_share_it() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), TWO, Vec::new()).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(matches!(bind(address, TWO, Vec::new()), Err(ListenError::InUse(a)) if a == address));
    }

    #[test]
    fn what_is_inherited_is_kept_and_completed() {
        let any = "127.0.0.1:0".parse().unwrap();
        let inherited = bind(any, TWO, Vec::new()).unwrap();
        let address = inherited[0].local_addr().unwrap();
        let copies = || inherited.iter().map(|l| l.try_clone().unwrap()).collect();
        let check = |workers: usize, expect: usize| {
            let sockets = bind(any, NonZeroUsize::new(workers).unwrap(), copies()).unwrap();
            assert!(sockets.iter().all(|l| l.local_addr().unwrap() == address));
            assert_eq!(sockets.len(), expect);
        };
        check(3, 3);
        check(1, 2);
    }

    #[test]
    fn a_foreign_address_is_told_from_one_in_use() {
        assert!(matches!(
            bind("192.0.2.1:0".parse().unwrap(), TWO, Vec::new()),
            Err(ListenError::NotHere(_))
        ));
    }
}
