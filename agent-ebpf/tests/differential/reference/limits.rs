//! How far the machine looks, within the kernel's bounds: what lies beyond is valid, but nobody writes it.

/// Most blanks beside a framing field's value.
const BLANKS: usize = 7;
/// Most digits of a `Content-Length`.
const DIGITS: usize = 18;
/// Most digits of a chunk's size.
const HEX_DIGITS: usize = 15;

/// Whether a framing field of `head` is written in a way that the machine does not follow.
pub(super) fn exceeded(head: &[u8]) -> bool {
    head.split(|&b| b == b'\n').map(<[u8]>::to_ascii_lowercase).any(|line| {
        let framing = line.starts_with(b"content-length:") || line.starts_with(b"transfer-encoding:");
        framing && (run(&line, |b| b" \t".contains(b)) > BLANKS || run(&line, u8::is_ascii_digit) > DIGITS)
    })
}

/// Whether the chunk's size that `bytes` begin with is written so; or with a bare LF behind its extension, which ends
/// the line for us and for nginx, but not for httparse.
pub(super) fn exceeded_by_chunk(bytes: &[u8]) -> bool {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let bare = line.len() < bytes.len() && line.last() != Some(&b'\r');
    bare || bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count() > HEX_DIGITS
}

/// Length of the longest run of bytes that `is` holds for.
fn run(line: &[u8], is: impl Fn(&u8) -> bool) -> usize {
    line.split(|b| !is(b)).map(<[u8]>::len).max().unwrap_or(0)
}
