//! A name server that answers every question with the addresses that a test has set.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// Record types.
const A: u16 = 1;
const AAAA: u16 = 28;

/// A name server on loopback.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    addresses: Arc<Mutex<Vec<IpAddr>>>,
}

impl NameServer {
    /// One that answers with `addresses`, to be held for no time at all.
    pub(crate) fn new(addresses: &[&str]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Self { address: socket.local_addr().unwrap(), addresses: Arc::default() };
        server.set(addresses);
        let shared = server.addresses.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let answer = answer(&question[..length], &shared.lock().unwrap());
                let _ = socket.send_to(&answer, from);
            }
        });
        server
    }

    /// From now on these are the addresses.
    pub(crate) fn set(&self, addresses: &[&str]) {
        *self.addresses.lock().unwrap() = addresses.iter().map(|text| text.parse().unwrap()).collect();
    }

    /// The part of a configuration that makes the proxy ask here.
    pub(crate) fn config(&self) -> String {
        format!("[dns]\nservers = ['{}']\nmin_ttl = '20ms'\n", self.address)
    }
}

/// RFC 1035 §4: the header, the question again, and one record for each address of the type asked for.
fn answer(query: &[u8], addresses: &[IpAddr]) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let question = &query[12..name_end + 4];
    let kind = u16::from_be_bytes([query[name_end], query[name_end + 1]]);
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(v4), A) => Some(v4.octets().to_vec()),
            (IpAddr::V6(v6), AAAA) => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    // The query's number; an authoritative answer without error; one question and so many records.
    let mut bytes = vec![query[0], query[1], 0x85, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    bytes.extend_from_slice(question);
    for data in records {
        // The name is that at offset 12; then type, class IN, a TTL of zero, and the data.
        bytes.extend_from_slice(&[0xc0, 12]);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
        bytes.extend_from_slice(&data);
    }
    bytes
}
