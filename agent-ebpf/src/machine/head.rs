//! Header lines that decide a message's framing, and chunk sizes.

use super::{Host, LOWER, Machine, Side};
use crate::conn::framing;
use crate::window::{CARRY, Window};

/// The lowest seven bytes of a word.
const SEVEN: u64 = 0x00ff_ffff_ffff_ffff;
/// Most digits of a length that fit 64 bits whatever they are.
const MAX_DIGITS: u32 = 18;
/// Most digits of a chunk's size.
const MAX_HEX: u32 = 15;
/// Blanks, or zeros, before a number or behind a coding that are too many.
const MAX_PADDING: u32 = 8;

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
    /// Takes in the header line from `start` to `eol`. False when it decides the framing and cannot be read for
    /// certain: whoever guesses is fooled.
    #[inline(always)]
    pub(super) fn header(&mut self, start: u32, eol: u32) -> bool {
        let Some(framing) = framing_at(&self.scratch.window, start) else {
            S::header(self, start, eol);
            return true;
        };
        if eol.wrapping_sub(start) > CARRY as u32 {
            // Longer than what is carried from one segment to the next: read neither whole nor in parts.
            return false;
        }
        match framing {
            Framing::ContentLength => match decimal(&self.scratch.window, start.wrapping_add(15), eol) {
                Number::Is(length) => {
                    self.dir.skip = length;
                    self.dir.framing |= framing::LENGTH;
                    true
                }
                // Whoever reads it will refuse it.
                Number::None => true,
                Number::Unclear => false,
            },
            Framing::TransferEncoding => {
                self.dir.framing |= framing::ENCODED;
                // A later field line continues the list: what counts is the last coding of all (RFC 9112 §6.1).
                let Some(chunked) = ends_with_chunked(&self.scratch.window, eol) else { return false };
                if chunked {
                    self.dir.framing |= framing::CHUNKED;
                } else {
                    self.dir.framing &= !framing::CHUNKED;
                }
                true
            }
        }
    }

    /// Reads the chunk size at `start`, and sets `skip` to it with its closing CRLF; to 0 for the last chunk.
    /// False when there is none, or one that is too long.
    #[inline(always)]
    pub(super) fn chunk_size(&mut self, start: u32) -> bool {
        let window = &self.scratch.window;
        let zeros = same(window.word(start), b'0');
        let at = start.wrapping_add(zeros);
        let mut size = 0u64;
        let mut n = 0;
        while n < MAX_HEX {
            let Some(digit) = hex(window.byte(at.wrapping_add(n))) else { break };
            size = size << 4 | u64::from(digit);
            n += 1;
        }
        self.dir.skip = if size == 0 { 0 } else { size + 2 };
        at.wrapping_add(n) != start && zeros < MAX_PADDING && hex(window.byte(at.wrapping_add(n))).is_none()
    }
}

#[inline(always)]
fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// How many bytes `word` begins with that are `b`, up to [`MAX_PADDING`]. Without a loop: the kernel's verifier would
/// look at all that follows once for each number.
#[inline(always)]
const fn same(word: u64, b: u8) -> u32 {
    let others = word ^ u64::from_le_bytes([b; 8]);
    if others == 0 { MAX_PADDING } else { others.trailing_zeros() / 8 }
}

/// `word` with a space for every tab.
#[inline(always)]
const fn spaced(word: u64) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    let others = word ^ u64::from_le_bytes([b'\t'; 8]);
    let tabs = !((others & LOW).wrapping_add(LOW) | others | LOW);
    word ^ (tabs >> 7).wrapping_mul((b'\t' ^ b' ') as u64)
}

/// What a field value says where a number is expected.
enum Number {
    /// This one: the first, should it be a list.
    Is(u64),
    /// None.
    None,
    /// One that is written too oddly to be read here.
    Unclear,
}

/// The number in the field value from `at` to `eol`.
#[inline(always)]
fn decimal(window: &Window, at: u32, eol: u32) -> Number {
    let blanks = same(spaced(window.word(at)), b' ');
    let at = at.wrapping_add(blanks);
    let zeros = same(window.word(at), b'0');
    let at = at.wrapping_add(zeros);
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
    let more =
        n == MAX_DIGITS && at.wrapping_add(n) < eol && window.byte(at.wrapping_add(n)).is_ascii_digit();
    if blanks == MAX_PADDING || zeros == MAX_PADDING || more {
        Number::Unclear
    } else if zeros.wrapping_add(n) > 0 {
        Number::Is(value)
    } else {
        Number::None
    }
}

/// Whether the last coding of the list that ends at `eol` is `chunked`; nothing when too many blanks follow it.
#[inline(always)]
fn ends_with_chunked(window: &Window, eol: u32) -> Option<bool> {
    let others = spaced(window.word(eol.wrapping_sub(8))) ^ u64::from_le_bytes([b' '; 8]);
    if others == 0 {
        return None;
    }
    let last = window.word(eol.wrapping_sub(others.leading_zeros() / 8).wrapping_sub(8));
    let apart = matches!(last as u8, b' ' | b'\t' | b',' | b':');
    Some(apart && (last | LOWER) >> 8 == word(b"chunked\0"))
}
