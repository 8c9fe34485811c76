//! A client that writes raw bytes and takes answers apart.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// An answer, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// All values of a field, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
            .collect()
    }

    /// The values of a field as one list.
    pub(crate) fn field(&self, name: &str) -> String {
        self.all(name).join(", ")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection to a server.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// The next answer to a request with this method. Errors say how the connection ended.
    pub(crate) fn answer_to(&mut self, method: &str) -> io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Ok(answer);
        }
        if answer.field("transfer-encoding") == "chunked" {
            self.chunked(&mut answer.body)?;
        } else if let [length] = answer.all("content-length")[..] {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                self.more()?;
            }
            answer.body = self.buffer.drain(..length).collect();
        } else {
            while self.more_or_end()? {}
            answer.body = std::mem::take(&mut self.buffer);
        }
        Ok(answer)
    }

    /// The next answer, to a GET.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET").unwrap()
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.stream.read(&mut [0]), Ok(0))
    }

    fn chunked(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                    break at + 2;
                }
                self.more()?;
            };
            let size = String::from_utf8_lossy(&self.buffer[..end - 2]).into_owned();
            let size = usize::from_str_radix(&size, 16).unwrap();
            while self.buffer.len() < end + size + 2 {
                self.more()?;
            }
            body.extend_from_slice(&self.buffer[end..end + size]);
            self.buffer.drain(..end + size + 2);
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn more(&mut self) -> io::Result<()> {
        if self.more_or_end()? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn more_or_end(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let n = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..n]);
        Ok(n > 0)
    }
}

/// Sends `request` on a new connection and reads one answer.
pub(crate) fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let request = request.as_ref();
    let method = String::from_utf8_lossy(request).split(' ').next().unwrap_or_default().to_owned();
    let mut client = Client::connect(address);
    client.send(request);
    client.answer_to(&method).unwrap_or_else(|e| panic!("no answer to {}: {e}", request.escape_ascii()))
}

/// A GET with these further lines of head.
pub(crate) fn get(address: SocketAddr, path: &str, fields: &[&str]) -> Answer {
    exchange(address, raw("GET", path, fields, ""))
}

/// A request as it goes over the wire, with the length of its body when it has one.
pub(crate) fn raw(method: &str, path: &str, fields: &[&str], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: hosp.example\r\n");
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}
