//! An origin on a raw socket, one thread per connection, that answers each request as a closure says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;

/// One request, as the origin saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Number of the request, from 0, over all connections.
    pub(crate) number: usize,
    /// The head, as text.
    pub(crate) head: String,
    /// The body, decoded.
    pub(crate) body: Vec<u8>,
}

impl Seen {
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

    /// The only value of a field, if there is exactly one.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Method and target.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// What the origin does about a request.
pub(crate) enum Reply {
    /// Sends these bytes and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes and closes the connection properly.
    SendAndClose(Vec<u8>),
    /// Sends these bytes and resets the connection.
    SendAndReset(Vec<u8>),
    /// Sends these bytes once the other end of the channel says so (or is gone).
    Wait(Receiver<()>, Vec<u8>),
}

/// A 200 with a length.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

type Play = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A listening origin.
pub(crate) struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    play: Box<Play>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
    /// Connections whose other end went away while a reply was held back.
    abandoned: Mutex<usize>,
}

impl Origin {
    /// An origin that does with each request what `play` says.
    pub(crate) fn new(play: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), play)
    }

    /// The same on a socket that is listening already.
    pub(crate) fn on(listener: TcpListener, play: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            play: Box::new(play),
            seen: Mutex::default(),
            connections: Mutex::default(),
            abandoned: Mutex::default(),
        });
        let shared = state.clone();
        // Ends with the test's process: a thread blocked in accept has nothing to clean up.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                *shared.connections.lock().unwrap() += 1;
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many requests so far.
    pub(crate) fn hits(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// How many connections so far.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// How many connections were closed from the other end while a reply was held back.
    pub(crate) fn abandoned(&self) -> usize {
        *self.state.abandoned.lock().unwrap()
    }
}

fn serve(mut stream: TcpStream, state: &State) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read_request(&mut stream, &mut buffer) {
        let seen = {
            let mut all = state.seen.lock().unwrap();
            let seen = Seen { number: all.len(), head, body };
            all.push(seen.clone());
            seen
        };
        match (state.play)(&seen) {
            Reply::Send(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Reply::SendAndClose(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
            Reply::SendAndReset(bytes) => {
                let _ = stream.write_all(&bytes);
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Reply::Wait(release, bytes) => {
                stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                while release.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    let mut byte = [0];
                    match stream.read(&mut byte) {
                        Ok(1) => buffer.push(byte[0]),
                        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                        // Closed or reset.
                        _ => {
                            *state.abandoned.lock().unwrap() += 1;
                            return;
                        }
                    }
                }
                stream.set_read_timeout(None).unwrap();
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
        }
    }
}

/// The next request, `None` at the end of the connection.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let head_end = read_until(stream, buffer, 0, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end);
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if lower.contains("\r\ntransfer-encoding: chunked") {
        loop {
            let line_end = read_until(stream, buffer, 0, b"\r\n")?;
            let size = String::from_utf8_lossy(&buffer[..line_end - 2]).into_owned();
            let size = usize::from_str_radix(&size, 16).expect("a chunk size");
            while buffer.len() < line_end + size + 2 {
                read_more(stream, buffer)?;
            }
            body.extend_from_slice(&buffer[line_end..line_end + size]);
            buffer.drain(..line_end + size + 2);
            if size == 0 {
                break;
            }
        }
    } else if let Some((_, rest)) = lower.split_once("\r\ncontent-length:") {
        let length: usize = rest.lines().next().unwrap().trim().parse().unwrap();
        while buffer.len() < length {
            read_more(stream, buffer)?;
        }
        body = buffer.drain(..length).collect();
    }
    Some((head, body))
}

fn read_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, from: usize, mark: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = buffer[from..].windows(mark.len()).position(|w| w == mark) {
            return Some(from + at + mark.len());
        }
        read_more(stream, buffer)?;
    }
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) | Err(_) => None,
        Ok(n) => {
            buffer.extend_from_slice(&chunk[..n]);
            Some(())
        }
    }
}
