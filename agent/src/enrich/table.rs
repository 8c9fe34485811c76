//! Reads the kernel's table of TCP sockets, `/proc/PID/net/tcp` and `tcp6`, line by line.
//!
//! Not by way of the `procfs` crate, because that reads the whole table into memory: listening sockets come first,
//! and on a busy proxy a hundred thousand others follow them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) state: State,
    pub(super) local_port: u16,
    /// IPv4 in the mapped form, as in the kernel's records.
    pub(super) remote_addr: [u8; 16],
    pub(super) remote_port: u16,
    pub(super) inode: u64,
}

/// The states that matter here; numbers of `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// `TCP_LISTEN`
    Listen,
    /// `TCP_ESTABLISHED`
    Established,
    /// Any other.
    Other,
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Listening sockets only: reading stops at the first other one, since the kernel lists those first
    /// (`tcp_seq_start` in `net/ipv4/tcp_ipv4.c`).
    Listeners,
    /// All of them.
    All,
}

/// Hands every wanted socket of a table to `each`. Lines that are not understood are skipped.
pub(super) fn read(path: &Path, want: Want, each: &mut dyn FnMut(Socket)) -> io::Result<()> {
    let mut lines = BufReader::with_capacity(64 * 1024, File::open(path)?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if let Some(socket) = parse(&line) {
            if want == Want::Listeners && socket.state != State::Listen {
                break;
            }
            each(socket);
        }
        line.clear();
    }
    Ok(())
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, local_port) = address(fields.next()?)?;
    let (remote_addr, remote_port) = address(fields.next()?)?;
    let state = match fields.next()? {
        "0A" => State::Listen,
        "01" => State::Established,
        _ => State::Other,
    };
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket { state, local_port, remote_addr, remote_port, inode })
}

/// `0100007F:1F90`: the address as 32-bit words in the host's byte order, the port as a number.
fn address(field: &str) -> Option<([u8; 16], u16)> {
    let (addr, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| Some(u32::from_str_radix(addr.get(8 * i..8 * i + 8)?, 16).ok()?.to_ne_bytes());
    let octets = match addr.len() {
        8 => Ipv4Addr::from(word(0)?).to_ipv6_mapped().octets(),
        32 => {
            let mut octets = [0; 16];
            for (i, four) in octets.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(i)?);
            }
            Ipv6Addr::from(octets).octets()
        }
        _ => return None,
    };
    Some((octets, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream};

    fn sockets(want: Want) -> Vec<Socket> {
        let mut all = Vec::new();
        read(Path::new("/proc/self/net/tcp"), want, &mut |socket| all.push(socket)).unwrap();
        all
    }

    #[test]
    fn the_kernels_own_table_is_understood() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let client_port = client.local_addr().unwrap().port();

        let listening = |socket: &Socket| socket.local_port == port && socket.state == State::Listen;
        assert!(sockets(Want::Listeners).iter().any(listening));
        assert!(sockets(Want::Listeners).iter().all(|socket| socket.state == State::Listen));
        // By both ports: a connection that waits for its end may have had the client's port before.
        let ports = |socket: &Socket| (socket.local_port, socket.remote_port) == (client_port, port);
        let connected = sockets(Want::All).into_iter().find(ports).unwrap();
        assert_eq!(connected.remote_addr, Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        assert_eq!(connected.state, State::Established);
        assert_ne!(connected.inode, 0);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn ipv6_addresses_are_in_network_order() {
        let (addr, port) = address("B80D0120000000000000000001000000:1F90").unwrap();
        assert_eq!(Ipv6Addr::from(addr), "2001:db8::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!(port, 8080);
    }

    proptest! {
        #[test]
        fn odd_lines_never_panic(line in "\\PC{0,120}") {
            let _ = parse(&line);
        }
    }
}
