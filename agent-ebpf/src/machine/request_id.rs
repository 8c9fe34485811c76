//! What names a request across hosts and tries: `X-Request-Id`, or else `traceparent` (W3C Trace Context), hashed.

use super::LOWER;
use super::head::word;
use crate::window::Window;

/// Words of a value that are hashed; longer ones differ at least in their length, or are one for us.
const WORDS: usize = 8;
/// Length of `x-request-id:`.
const X_REQUEST_ID: u32 = 13;
/// Length of `traceparent:`.
const TRACEPARENT: u32 = 12;
/// Where the trace's id stands in its value, and how long it is: what follows differs from hop to hop.
const TRACE_ID_AT: u32 = 3;
const TRACE_ID: u32 = 32;

/// The lowest bit tells which header a hash is from: the request's own id goes before the trace's.
const FROM_ID: u64 = 1;

/// Whether a header line that begins with these sixteen bytes, in lower case, names the request.
#[inline(always)]
pub(super) const fn may_name(first: u64, second: u64) -> bool {
    prefix(first, second) > 0
}

/// Length of the field's name with its colon; 0 when it is another one.
#[inline(always)]
const fn prefix(first: u64, second: u64) -> u32 {
    if first == word(b"x-reques") && second & 0xff_ffff_ffff == word(b"t-id:\0\0\0") {
        X_REQUEST_ID
    } else if first == word(b"tracepar") && second & 0xffff_ffff == word(b"ent:\0\0\0\0") {
        TRACEPARENT
    } else {
        0
    }
}

/// The hash of the name in the line from `start` to `eol`; nothing when it has none, or `known` goes before it.
#[inline(always)]
pub(super) fn hash(window: &Window, start: u32, eol: u32, known: u64) -> Option<u64> {
    let name = prefix(window.word(start) | LOWER, window.word_after(start, 1) | LOWER);
    if name == 0 || known & FROM_ID != 0 {
        return None;
    }
    let mut at = start.wrapping_add(name);
    let mut spaces = 0;
    while spaces < 4 && matches!(window.byte(at), b' ' | b'\t') {
        at = at.wrapping_add(1);
        spaces += 1;
    }
    let mut len = eol.wrapping_sub(at);
    if name == TRACEPARENT {
        at = at.wrapping_add(TRACE_ID_AT);
        len = TRACE_ID;
    }
    if at >= eol || len > eol.wrapping_sub(at) {
        return None;
    }
    let mut hash = 0u64;
    let mut left = len;
    let mut n = 0;
    while n < WORDS {
        let word = window.word_after(at, n);
        let kept = if left >= 8 { word } else { word & ((1u64 << (8 * (left & 7))) - 1) };
        hash = mix(hash ^ kept);
        left = left.saturating_sub(8);
        n += 1;
    }
    let hash = mix(hash ^ u64::from(len)) & !FROM_ID;
    // Never 0, which says that there is no name.
    Some(if name == X_REQUEST_ID { hash | FROM_ID } else { hash | 2 })
}

/// Spreads every bit of `x` over the whole word (the finisher of SplitMix64).
#[inline(always)]
const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
