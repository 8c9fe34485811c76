//! Header lines that decide a message's framing, and chunk sizes.

use super::{Host, LOWER, Machine, Side};
use crate::conn::framing;
use crate::window::Window;

/// The lowest seven bytes of a word.
const SEVEN: u64 = 0x00ff_ffff_ffff_ffff;
/// Most digits of a length that fit 64 bits whatever they are.
const MAX_DIGITS: u32 = 18;
/// Most digits of a chunk's size.
const MAX_HEX: u32 = 15;

pub(super) const fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// The framing header that begins at `start`.
enum Framing {
    ContentLength,
    TransferEncoding,
}

/// The framing header that begins with these sixteen bytes, in lower case; its last one may be another yet.
#[inline(always)]
const fn framing_of(first: u64, second: u64) -> Option<Framing> {
    if first == word(b"content-") && second & SEVEN == word(b"length:\0") {
        Some(Framing::ContentLength)
    } else if first == word(b"transfer") && second == word(b"-encodin") {
        Some(Framing::TransferEncoding)
    } else {
        None
    }
}

/// Whether a header line that begins with these sixteen bytes, in lower case, is about framing.
#[inline(always)]
pub(super) const fn may_frame(first: u64, second: u64) -> bool {
    framing_of(first, second).is_some()
}

#[inline(always)]
fn framing_at(window: &Window, start: u32) -> Option<Framing> {
    let framing = framing_of(window.word(start) | LOWER, window.word_after(start, 1) | LOWER)?;
    let whole = match framing {
        Framing::ContentLength => true,
        Framing::TransferEncoding => {
            (window.word_after(start, 2) | LOWER) & 0xffff == word(b"g:\0\0\0\0\0\0")
        }
    };
    whole.then_some(framing)
}

/// Whether the line at `start` decides the framing.
#[inline(always)]
pub(super) fn is_framing(window: &Window, start: u32) -> bool {
    framing_at(window, start).is_some()
}

impl<S: Side, H: Host> Machine<'_, S, H> {
    /// Takes in the header line from `start` to `eol`.
    #[inline(always)]
    pub(super) fn header(&mut self, start: u32, eol: u32) {
        match framing_at(&self.scratch.window, start) {
            Some(Framing::ContentLength) => {
                if let Some(length) = decimal(&self.scratch.window, start.wrapping_add(15), eol) {
                    self.dir.skip = length;
                    self.dir.framing |= framing::LENGTH;
                }
            }
            Some(Framing::TransferEncoding) => {
                self.dir.framing |= framing::ENCODED;
                // A later field line continues the list: what counts is the last coding of all (RFC 9112 §6.1).
                if ends_with_chunked(&self.scratch.window, eol) {
                    self.dir.framing |= framing::CHUNKED;
                } else {
                    self.dir.framing &= !framing::CHUNKED;
                }
            }
            None => S::header(self, start, eol),
        }
    }

    /// Reads the chunk size at `start`, and sets `skip` to it with its closing CRLF; to 0 for the last chunk.
    /// False when there is none.
    #[inline(always)]
    pub(super) fn chunk_size(&mut self, start: u32) -> bool {
        let mut size = 0u64;
        let mut n = 0;
        while n < MAX_HEX {
            let digit = match self.scratch.window.byte(start.wrapping_add(n)) {
                b @ b'0'..=b'9' => b - b'0',
                b @ b'a'..=b'f' => b - b'a' + 10,
                b @ b'A'..=b'F' => b - b'A' + 10,
                _ => break,
            };
            size = size << 4 | u64::from(digit);
            n += 1;
        }
        self.dir.skip = if size == 0 { 0 } else { size + 2 };
        n > 0
    }
}

/// The number in the field value from `at` to `eol`: the first one, should it be a list.
#[inline(always)]
fn decimal(window: &Window, at: u32, eol: u32) -> Option<u64> {
    let mut at = at;
    let mut spaces = 0;
    while spaces < 4 && matches!(window.byte(at), b' ' | b'\t') {
        at = at.wrapping_add(1);
        spaces += 1;
    }
    let mut value = 0u64;
    let mut n = 0;
    while n < MAX_DIGITS && at.wrapping_add(n) < eol {
        let b = window.byte(at.wrapping_add(n));
        if !b.is_ascii_digit() {
            break;
        }
        value = value * 10 + u64::from(b - b'0');
        n += 1;
    }
    (n > 0).then_some(value)
}

/// Whether the last coding of the list that ends at `eol` is `chunked`.
#[inline(always)]
fn ends_with_chunked(window: &Window, eol: u32) -> bool {
    let mut end = eol;
    let mut spaces = 0;
    while spaces < 4 && matches!(window.byte(end.wrapping_sub(1)), b' ' | b'\t') {
        end = end.wrapping_sub(1);
        spaces += 1;
    }
    (window.word(end.wrapping_sub(8)) | LOWER) >> 8 == word(b"chunked\0")
}
