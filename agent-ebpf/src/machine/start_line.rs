//! Request lines and status lines (RFC 9112 §3, §4), read a word at a time.

use super::head::word;
use crate::conn::{PATH_HEAD, PATH_REST};
use crate::window::{Window, zero_bytes};
use crate::{Method, PATH_MAX, PATH_SHORT};

/// Longest method looked at, in bytes.
const MAX_METHOD: u32 = 24;
/// `HTTP/1.`, which every version of HTTP/1 begins with.
const VERSION: u64 = word(b"HTTP/1.\0");
const SEVEN: u64 = 0x00ff_ffff_ffff_ffff;

/// The method that begins at `start`, and where its target begins.
#[inline(always)]
pub(super) fn method(window: &Window, start: u32) -> Option<(Method, u32)> {
    if let Some((method, len)) = known_method(window.word(start)) {
        return Some((method, start.wrapping_add(len)));
    }
    let mut n = 0;
    while n < MAX_METHOD {
        let b = window.byte(start.wrapping_add(n));
        if !is_token(b) {
            return (b == b' ' && n > 0).then_some((Method::Other, start.wrapping_add(n + 1)));
        }
        n += 1;
    }
    None
}

/// The registered method that `first` begins with, and its length with the space behind it.
#[inline(always)]
pub(super) fn known_method(first: u64) -> Option<(Method, u32)> {
    // Comparisons one after the other, not a table: a table would be built on the kernel's small stack.
    macro_rules! try_each {
        ($($method:ident $text:literal,)+) => {
            $(if first << (64 - 8 * $text.len()) == begins($text) {
                return Some((Method::$method, $text.len() as u32));
            })+
        };
    }
    try_each! {
        Get b"GET ",
        Post b"POST ",
        Head b"HEAD ",
        Put b"PUT ",
        Delete b"DELETE ",
        Patch b"PATCH ",
        Options b"OPTIONS ",
        Connect b"CONNECT ",
        Trace b"TRACE ",
    }
    None
}

/// `text` in the highest bytes of a word, its first byte lowest.
const fn begins(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut n = text.len();
    while n > 0 {
        n -= 1;
        word = word << 8 | text[n] as u64;
    }
    word << (64 - 8 * text.len())
}

/// Whether `b` can stand in a method (`tchar`, RFC 9110 §5.6.2).
#[inline(always)]
pub(super) fn is_token(b: u8) -> bool {
    const fn set(low: u8) -> u64 {
        let mut bits = 0;
        let mut n = 0;
        while n < 64 {
            let b = low + n;
            if b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
            {
                bits |= 1 << n;
            }
            n += 1;
        }
        bits
    }
    const LOW: u64 = set(0);
    const HIGH: u64 = set(64);
    let bits = if b < 64 { LOW } else { HIGH };
    b < 128 && bits >> (b & 63) & 1 == 1
}

/// Whether the line that ends at `eol` closes with ` HTTP/1.` and a digit.
#[inline(always)]
pub(super) fn ends_with_version(window: &Window, eol: u32) -> bool {
    begins_with_version(window.word(eol.wrapping_sub(8))) && window.byte(eol.wrapping_sub(9)) == b' '
}

/// Whether nothing but a version stands at `at`: a request line without a target.
#[inline(always)]
pub(super) fn is_version_alone(window: &Window, at: u32) -> bool {
    begins_with_version(window.word(at)) && matches!(window.byte(at.wrapping_add(8)), b'\r' | b'\n')
}

/// Whether `first` is a version of HTTP/1, as a status line begins with it.
#[inline(always)]
pub(super) fn begins_with_version(first: u64) -> bool {
    first & SEVEN == VERSION && ((first >> 56) as u8).is_ascii_digit()
}

/// The status of the status line at `start`; nothing when it is none.
#[inline(always)]
pub(super) fn status(window: &Window, start: u32) -> Option<u16> {
    if !begins_with_version(window.word(start)) {
        return None;
    }
    let rest = window.word_after(start, 1);
    let digit = |n: u32| {
        let b = (rest >> (8 * n)) as u8;
        b.is_ascii_digit().then(|| u16::from(b - b'0'))
    };
    if rest as u8 != b' ' {
        return None;
    }
    Some(digit(1)? * 100 + digit(2)? * 10 + digit(3)?)
}

/// Copies the target at `at` up to its query, fragment or end into `head` and, as far as it does not fit there,
/// into `rest`: length, and whether it was cut.
#[inline(always)]
pub(super) fn copy_path(
    window: &Window,
    at: u32,
    head: &mut [u64; PATH_HEAD],
    rest: &mut [u64; PATH_REST],
) -> (u8, bool) {
    let mut len = 0;
    let mut ended = false;
    let mut n = 0;
    while n < PATH_HEAD {
        head[n] = path_word(window.word_after(at, n), &mut ended, &mut len);
        n += 1;
    }
    if ended {
        return (len, false);
    }
    let at = at.wrapping_add(PATH_HEAD as u32 * 8);
    n = 0;
    while n < PATH_REST {
        rest[n] = path_word(window.word_after(at, n), &mut ended, &mut len);
        n += 1;
    }
    (len, !ended)
}

/// What of `word` belongs to the path.
#[inline(always)]
fn path_word(word: u64, ended: &mut bool, len: &mut u8) -> u64 {
    const fn all(b: u8) -> u64 {
        u64::from_le_bytes([b; 8])
    }
    if *ended {
        return 0;
    }
    let stop = zero_bytes(word ^ all(b' ')) | zero_bytes(word ^ all(b'?')) | zero_bytes(word ^ all(b'#'));
    if stop == 0 {
        *len += 8;
        return word;
    }
    *ended = true;
    // The lowest hit is exact, whichever of the three it is.
    let bytes = stop.trailing_zeros() / 8;
    *len += bytes as u8;
    word & ((1 << (8 * bytes)) - 1)
}

const _: () = assert!(PATH_MAX < 256 && PATH_SHORT == PATH_HEAD * 8);
