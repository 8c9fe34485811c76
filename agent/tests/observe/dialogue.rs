//! One connection of which the test holds both ends: who says what, when, and in which pieces.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Both ends of a connection, and the port that was connected to.
pub(crate) struct Dialogue {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
    pub(crate) port: u16,
}

impl Dialogue {
    /// A connection over IPv4.
    pub(crate) fn new() -> Self {
        Self::on(&TcpListener::bind("127.0.0.1:0").unwrap(), "127.0.0.1")
    }

    /// A connection to `listener` by this address of it.
    pub(crate) fn on(listener: &TcpListener, address: &str) -> Self {
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((address, port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            // Each write is a segment of its own.
            end.set_nodelay(true).unwrap();
        }
        Self { client, server, port }
    }

    /// The client says this, in one piece; it has arrived when this returns.
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) {
        self.ask_by(usize::MAX, bytes);
    }

    /// The server says this, in one piece.
    pub(crate) fn answer(&mut self, bytes: impl AsRef<[u8]>) {
        self.answer_by(usize::MAX, bytes);
    }

    /// The client says this, `piece` bytes at a time.
    pub(crate) fn ask_by(&mut self, piece: usize, bytes: impl AsRef<[u8]>) {
        say(&mut self.client, &mut self.server, bytes.as_ref(), piece);
    }

    /// The server says this, `piece` bytes at a time.
    pub(crate) fn answer_by(&mut self, piece: usize, bytes: impl AsRef<[u8]>) {
        say(&mut self.server, &mut self.client, bytes.as_ref(), piece);
    }

    /// Both ends close, the server first.
    pub(crate) fn close(self) {
        drop(self.server);
        drop(self.client);
    }
}

fn say(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8], piece: usize) {
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut heard = vec![0; bytes.len()];
            to.read_exact(&mut heard).unwrap();
            assert!(heard == bytes, "the connection changed what was said");
        });
        for piece in bytes.chunks(piece) {
            from.write_all(piece).unwrap();
        }
    });
}

/// Reads one request head, and nothing more.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
