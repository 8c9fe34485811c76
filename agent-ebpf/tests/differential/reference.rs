//! The other reading: every byte is there, nothing is cut, and speed does not matter.

mod limits;

use hosp_agent_ebpf::Method;
use httparse::{EMPTY_HEADER, Header, Status};

/// Most fields of a head.
const FIELDS: usize = 64;
/// Longest method that counts: the machine looks no further.
const LONGEST_METHOD: usize = 23;

/// Both directions of one connection.
pub(crate) struct Reading {
    /// Requests that are whole, up to their last byte.
    pub(crate) requests: Vec<Request>,
    /// Final answers to the first of them, likewise.
    pub(crate) answers: Vec<Answer>,
    pub(crate) requests_end: Ending,
    pub(crate) answers_end: Ending,
}

/// A request that is whole.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// The target up to its query.
    pub(crate) path: Vec<u8>,
    /// Head and body, in bytes.
    pub(crate) len: u64,
}

/// A final answer that is whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Interim answers before it, head and body, in bytes.
    pub(crate) len: u64,
}

/// Why a direction is not read further.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// All bytes make sense, though the last message may be cut; `line_open` when that one's request line is whole.
    Whole { line_open: bool },
    /// The next bytes are nothing that must be understood.
    Refused,
}

/// How a body's end is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A piece of a message is here, cut, or nothing that must be understood.
enum Piece<T> {
    There(T),
    Cut,
    Refused,
}

/// Reads both directions.
pub(crate) fn read(requests: &[u8], answers: &[u8]) -> Reading {
    let (requests, requests_end) = read_requests(requests);
    let (answers, mut answers_end) = read_answers(answers, &requests);
    if requests_end == (Ending::Whole { line_open: true }) {
        // The answer to a request that is not whole is not looked at here, but it is there.
        answers_end = Ending::Refused;
    }
    Reading { requests, answers, requests_end, answers_end }
}

fn read_requests(mut bytes: &[u8]) -> (Vec<Request>, Ending) {
    let mut requests = Vec::new();
    loop {
        bytes = skip_empty_lines(bytes);
        let mut fields = [EMPTY_HEADER; FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let (len, framing) = match head.parse(bytes) {
            Ok(Status::Complete(len)) if limits::exceeded(&bytes[..len]) => {
                return (requests, Ending::Refused);
            }
            Ok(Status::Complete(len)) => (len, request_framing(head.version, head.headers)),
            Ok(Status::Partial) => return (requests, Ending::Whole { line_open: bytes.contains(&b'\n') }),
            Err(_) => return (requests, Ending::Refused),
        };
        let Some(framing) = framing.filter(|_| head.method.is_some_and(|m| m.len() <= LONGEST_METHOD)) else {
            return (requests, Ending::Refused);
        };
        match body(framing, &bytes[len..]) {
            Piece::There(body) => {
                let target = head.path.unwrap_or_default().as_bytes();
                let end = target.iter().position(|b| b"?#".contains(b)).unwrap_or(target.len());
                let path = target[..end].to_vec();
                let method = method(head.method.unwrap_or_default());
                requests.push(Request { method, path, len: (len + body) as u64 });
                bytes = &bytes[len + body..];
            }
            Piece::Cut => return (requests, Ending::Whole { line_open: true }),
            Piece::Refused => return (requests, Ending::Refused),
        }
    }
}

fn read_answers(mut bytes: &[u8], requests: &[Request]) -> (Vec<Answer>, Ending) {
    let whole = Ending::Whole { line_open: false };
    let mut answers = Vec::new();
    for request in requests {
        let mut before = 0;
        loop {
            bytes = skip_empty_lines(bytes);
            let mut fields = [EMPTY_HEADER; FIELDS];
            let mut head = httparse::Response::new(&mut fields);
            let len = match head.parse(bytes) {
                Ok(Status::Complete(len)) if !limits::exceeded(&bytes[..len]) => len,
                Ok(Status::Partial) => return (answers, whole),
                Ok(_) | Err(_) => return (answers, Ending::Refused),
            };
            let status = head.code.unwrap_or_default();
            let tunnel = status == 101 || (request.method == "CONNECT" && (200..300).contains(&status));
            if (100..200).contains(&status) && !tunnel {
                before += len;
                bytes = &bytes[len..];
                continue;
            }
            let bodiless = tunnel || request.method == "HEAD" || matches!(status, 204 | 304);
            let framing = match answer_framing(head.version, head.headers) {
                _ if bodiless => Framing::None,
                Some(framing) => framing,
                None => return (answers, Ending::Refused),
            };
            let body = match body(framing, &bytes[len..]) {
                Piece::There(body) => body,
                Piece::Cut => return (answers, whole),
                Piece::Refused => return (answers, Ending::Refused),
            };
            answers.push(Answer { status, len: (before + len + body) as u64 });
            if tunnel || framing == Framing::UntilClose {
                // What follows is no HTTP, whatever it looks like.
                return (answers, if tunnel { Ending::Refused } else { whole });
            }
            bytes = &bytes[len + body..];
            break;
        }
    }
    (answers, whole)
}

/// Empty lines before a start line count for nothing (RFC 9112 §2.2).
fn skip_empty_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n")) {
        bytes = rest;
    }
    bytes
}

fn method(name: &str) -> &'static str {
    let known = Method::ALL.iter().map(|method| method.as_str()).find(|known| *known == name);
    known.unwrap_or(Method::Other.as_str())
}

fn request_framing(version: Option<u8>, fields: &[Header<'_>]) -> Option<Framing> {
    match framing(version, fields)? {
        // A server cannot know where such a body ends: it refuses the request.
        Framing::UntilClose if values(fields, "transfer-encoding").next().is_some() => None,
        Framing::UntilClose => Some(Framing::None),
        framing => Some(framing),
    }
}

fn answer_framing(version: Option<u8>, fields: &[Header<'_>]) -> Option<Framing> {
    framing(version, fields)
}

/// What both directions have in common; nothing where the framing is faulty.
fn framing(version: Option<u8>, fields: &[Header<'_>]) -> Option<Framing> {
    if let Some(last) = values(fields, "transfer-encoding").last() {
        // HTTP/1.0 has no codings (RFC 9112 §6.1).
        if version != Some(1) {
            return None;
        }
        let chunked = last.eq_ignore_ascii_case(b"chunked");
        if !chunked && last.to_ascii_lowercase().ends_with(b"chunked") {
            // No coding has such a name, and the machine looks at the end only.
            return None;
        }
        return Some(if chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut lengths = values(fields, "content-length").map(decimal);
    let Some(first) = lengths.next() else { return Some(Framing::UntilClose) };
    let first = first?;
    lengths.all(|length| length == Some(first)).then_some(Framing::Length(first))
}

/// The members of all lines of a field, lists taken apart.
fn values<'a>(fields: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    lines.flat_map(|field| field.value.split(|&b| b == b',')).map(trim)
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn decimal(text: &[u8]) -> Option<u64> {
    // `parse` alone would take a plus sign.
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// How many of `bytes` are the body.
fn body(framing: Framing, bytes: &[u8]) -> Piece<usize> {
    match framing {
        Framing::None => Piece::There(0),
        Framing::UntilClose => Piece::There(bytes.len()),
        Framing::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= bytes.len() => Piece::There(length),
            _ => Piece::Cut,
        },
        Framing::Chunked => chunks(bytes),
    }
}

/// How many of `bytes` are chunks, the last of them and trailers included (RFC 9112 §7.1).
fn chunks(bytes: &[u8]) -> Piece<usize> {
    let mut at = 0;
    loop {
        if limits::exceeded_by_chunk(&bytes[at..]) {
            return Piece::Refused;
        }
        let size = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete((len, size))) => {
                at += len;
                size
            }
            Ok(Status::Partial) => return Piece::Cut,
            Err(_) => return Piece::Refused,
        };
        if size == 0 {
            break;
        }
        let Some(end) = usize::try_from(size).ok().and_then(|size| at.checked_add(size)) else {
            return Piece::Cut;
        };
        match bytes.get(end..).map(|rest| rest.get(..2)) {
            Some(Some(b"\r\n")) => at = end + 2,
            Some(Some(_)) => return Piece::Refused,
            Some(None) | None => return Piece::Cut,
        }
    }
    let mut fields = [EMPTY_HEADER; FIELDS];
    match httparse::parse_headers(&bytes[at..], &mut fields) {
        Ok(Status::Complete((len, _))) => Piece::There(at + len),
        Ok(Status::Partial) => Piece::Cut,
        Err(_) => Piece::Refused,
    }
}
