//! Request heads that carry both `Content-Length` and `Transfer-Encoding`: the usual request smuggling.
//!
//! hyper takes the safe reading of such a head (chunked counts, the length is dropped, the connection is
//! closed afterwards, RFC 9112 §6.1) but does not tell. An honest client never sends one, so we want to
//! refuse it; this scanner looks at the raw bytes of a head for the two names and remembers the verdict.

use std::cell::{Cell, RefCell};

const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";
/// Length of the longest name of interest.
const LONGEST: usize = TRANSFER_ENCODING.len();

/// Watches the bytes of one client connection.
///
/// It looks only at heads whose first byte it saw arrive while no body was under way. A head that comes
/// in one segment with the end of a body before it is left to hyper's safe reading.
#[derive(Debug)]
pub struct Scanner {
    /// Whether the next byte read belongs to a request head.
    watching: Cell<bool>,
    head: RefCell<Head>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { watching: Cell::new(true), head: RefCell::default() }
    }
}

impl Scanner {
    /// Takes note of bytes that were just read from the socket.
    pub fn read(&self, bytes: &[u8]) {
        if self.watching.get() {
            let ended = self.head.borrow_mut().scan(bytes);
            self.watching.set(!ended);
        }
    }

    /// The verdict on the head of the request that hyper has just parsed: whether it had both fields.
    /// `has_body` says whether what follows on the connection is a body.
    pub fn take_verdict(&self, has_body: bool) -> bool {
        let head = self.head.take();
        self.watching.set(!has_body);
        head.content_length && head.transfer_encoding
    }

    /// The body that was under way has ended; what follows is a head.
    pub fn body_ended(&self) {
        self.head.take();
        self.watching.set(true);
    }
}

/// The state of one head, which may arrive in any number of pieces.
#[derive(Debug, Default)]
struct Head {
    content_length: bool,
    transfer_encoding: bool,
    /// Beginning of the current line, when it was cut by the end of a read.
    line: Vec<u8>,
    /// Whether a line of this head was seen: blank lines before the request line count for nothing.
    begun: bool,
}

impl Head {
    /// Scans on; `true` when the blank line that ends the head was found.
    fn scan(&mut self, mut bytes: &[u8]) -> bool {
        while let Some(at) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(at);
            bytes = &rest[1..];
            let ended = if self.line.is_empty() {
                self.line(line)
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.line);
                self.line(&line)
            };
            if ended {
                return true;
            }
        }
        self.keep(bytes);
        false
    }

    /// Holds the beginning of a line over to the next read: never more than is needed to tell its name.
    fn keep(&mut self, part: &[u8]) {
        let room = (LONGEST + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn line(&mut self, line: &[u8]) -> bool {
        if line.is_empty() || line == b"\r" {
            return self.begun;
        }
        self.begun = true;
        // The first letter decides nearly always.
        match line[0] | 0x20 {
            b'c' => self.content_length |= is_field(line, CONTENT_LENGTH),
            b't' => self.transfer_encoding |= is_field(line, TRANSFER_ENCODING),
            _ => {}
        }
        false
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: &[u8] =
        b"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    #[test]
    fn verdicts() {
        let check = |bytes: &[u8], expect: bool| {
            let scanner = Scanner::default();
            scanner.read(bytes);
            assert_eq!(scanner.take_verdict(true), expect, "{}", bytes.escape_ascii());
        };
        check(BOTH, true);
        check(b"\r\n\r\nPOST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 5\n\n", true);
        check(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", false);
        check(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false);
        check(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nContent-Length: 5\r\n", false);
        check(b"GET / HTTP/1.1\r\nX-Content-Length: 5\r\nTransfer-Encodings: a\r\n\r\n", false);
    }

    #[test]
    fn a_body_is_not_taken_for_a_head() {
        let scanner = Scanner::default();
        scanner.read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!scanner.take_verdict(true));
        scanner.read(BOTH);
        scanner.body_ended();
        scanner.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(!scanner.take_verdict(false));
        scanner.read(BOTH);
        assert!(scanner.take_verdict(true));
    }

    proptest! {
        #[test]
        fn the_cuts_between_reads_change_nothing(cuts in proptest::collection::vec(0..BOTH.len(), 0..8)) {
            let scanner = Scanner::default();
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut from = 0;
            for cut in cuts.into_iter().chain([BOTH.len()]) {
                scanner.read(&BOTH[from..cut]);
                from = cut;
            }
            prop_assert!(scanner.take_verdict(true));
        }

        #[test]
        fn bytes_from_outside_never_panic(reads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)) {
            let scanner = Scanner::default();
            reads.iter().for_each(|bytes| scanner.read(bytes));
            scanner.take_verdict(true);
        }
    }
}
