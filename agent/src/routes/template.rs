//! Learns a route from one path: segments that name a thing become `{id}`, segments that name a kind stay.

/// What a segment that names a thing becomes.
const ID: &str = "{id}";
/// What the rest of a path that is too deep, or was cut, becomes.
const REST: &str = "*";
/// Deepest template; what lies deeper becomes [`REST`].
const MAX_DEPTH: usize = 8;
/// Longest segment that can name a kind, in bytes.
const MAX_SEGMENT: usize = 32;
/// Longest template, in bytes: every segment of full length with its slash, and the rest.
pub(super) const MAX_TEMPLATE: usize = MAX_DEPTH * (MAX_SEGMENT + 1) + 1 + REST.len();

/// Writes the template of `target` (the path of a request's target, bytes from outside) into `out`, which it
/// clears first. `cut` tells that the kernel kept only the beginning. Returns `false`, with `out` empty, when
/// `target` is no path at all.
///
/// The result holds only unreserved characters (RFC 3986 §2.3), a few harmless delimiters, slashes and the two
/// placeholders, and is never longer than [`MAX_TEMPLATE`].
pub(super) fn write(target: &[u8], cut: bool, out: &mut String) -> bool {
    out.clear();
    let Some(path) = path_of(target) else { return false };
    if path == b"*" {
        // The asterisk form of OPTIONS (RFC 9112 §3.2.4).
        out.push('*');
        return true;
    }
    let mut segments = path[1..].split(|&b| b == b'/').peekable();
    let mut depth = 0;
    while let Some(segment) = segments.next() {
        let partial = cut && segments.peek().is_none();
        out.push('/');
        if depth == MAX_DEPTH || partial {
            out.push_str(REST);
            break;
        }
        match std::str::from_utf8(segment) {
            Ok(kind) if names_a_kind(segment) => out.push_str(kind),
            _ => out.push_str(ID),
        }
        depth += 1;
    }
    true
}

/// The path of a target in origin, absolute or asterisk form (RFC 9112 §3.2), without query and fragment.
pub(super) fn path_of(target: &[u8]) -> Option<&[u8]> {
    let end = target.iter().position(|&b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    let target = &target[..end];
    match target {
        b"*" | [b'/', ..] => Some(target),
        _ => {
            let scheme = target.windows(3).position(|w| w == b"://")?;
            let authority = &target[scheme + 3..];
            Some(authority.iter().position(|&b| b == b'/').map_or(b"/", |slash| &authority[slash..]))
        }
    }
}

/// Whether a segment is a word of the interface, rather than the name of one thing among many.
fn names_a_kind(segment: &[u8]) -> bool {
    segment.len() <= MAX_SEGMENT
        && segment.iter().all(|&b| is_plain(b))
        && !is_numeric(segment)
        && !segment.split(|b| matches!(b, b'-' | b'.' | b'_' | b'~')).any(part_is_identifier)
        && !is_uuid(segment)
}

/// What may stand in a word: no `%` (percent-encoded), no `@` (mail addresses), no braces (our placeholders),
/// no `*`, no control character, nothing outside ASCII.
fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b':' | b'+' | b',' | b'=')
}

/// Numbers, dates, coordinates, times: digits, and nothing but what joins them.
fn is_numeric(segment: &[u8]) -> bool {
    segment.iter().any(u8::is_ascii_digit)
        && segment.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b',' | b':' | b'_' | b'+'))
}

/// `8-4-4-4-12` hexadecimal digits (RFC 9562 §4), even those without a decimal digit in a long group.
fn is_uuid(segment: &[u8]) -> bool {
    segment.len() == 36
        && segment.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Whether one part of a segment (between `-`, `.`, `_` and `~`) makes the whole of it the name of a thing.
fn part_is_identifier(part: &[u8]) -> bool {
    let digits = part.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return looks_random(part);
    }
    let letters = part.iter().filter(|b| b.is_ascii_alphabetic()).count();
    // `report-2024`, `HN000123`; `v2`, `oauth2` and `base64` are words.
    let numbered = digits >= 3 && part.iter().rev().take_while(|b| b.is_ascii_digit()).count() >= 3;
    // Hashes and tokens.
    let hex = part.len() >= 8 && part.iter().all(u8::is_ascii_hexdigit);
    let token = part.len() >= 10 && digits >= 2 && letters >= 2;
    numbered || hex || token
}

/// Long runs of letters that change case again and again, or have no vowel: tokens, not words.
fn looks_random(part: &[u8]) -> bool {
    if part.len() < 12 {
        return false;
    }
    let turns = part.windows(2).filter(|w| w[0].is_ascii_uppercase() && w[1].is_ascii_lowercase()).count();
    let vowels = part.iter().filter(|b| b"aeiouyAEIOUY".contains(b)).count();
    turns * 4 >= part.len() || vowels * 8 < part.len()
}
