//! Traffic to read: valid in every way that HTTP/1.1 leaves open, and then damaged.

use std::fmt;

use proptest::prelude::*;

/// Most blanks around a field's value.
const BLANKS: usize = 3;
/// Most zeros before a number.
const ZEROS: usize = 3;

/// Both directions of one connection.
#[derive(Clone)]
pub(crate) struct Traffic {
    pub(crate) requests: Vec<u8>,
    pub(crate) answers: Vec<u8>,
    pub(crate) exchanges: usize,
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, answers, exchanges } = self;
        write!(f, "{exchanges}:\n{}\n{}", requests.escape_ascii(), answers.escape_ascii())
    }
}

/// One exchange: the request's bytes and the answer's.
type Exchange = (Vec<u8>, Vec<u8>);

/// Up to 16 exchanges, each of them whole.
pub(crate) fn valid() -> impl Strategy<Value = Traffic> {
    let last = prop_oneof![3 => exchange(), 1 => until_close()];
    (proptest::collection::vec(exchange(), 0..15), last).prop_map(|(mut exchanges, last)| {
        exchanges.push(last);
        let (requests, answers): (Vec<_>, Vec<_>) = exchanges.iter().cloned().unzip();
        Traffic { requests: requests.concat(), answers: answers.concat(), exchanges: exchanges.len() }
    })
}

/// Valid traffic in which a few bytes were changed, lost, added or sent twice.
pub(crate) fn damaged() -> impl Strategy<Value = Traffic> {
    let damage = (any::<bool>(), any::<prop::sample::Index>(), 0u8..5, odd_byte(), 1usize..20);
    (valid(), proptest::collection::vec(damage, 1..4)).prop_map(|(mut traffic, damages)| {
        for (request, at, kind, byte, len) in damages {
            let bytes = if request { &mut traffic.requests } else { &mut traffic.answers };
            if bytes.is_empty() {
                continue;
            }
            let at = at.index(bytes.len());
            let end = (at + len).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(at..end)),
                3 => bytes.truncate(at),
                _ => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(end..end, again);
                }
            }
        }
        traffic
    })
}

fn odd_byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(b"\r\n \t:;,/?#019afAF\0\x7f\x80\xffH".to_vec()), any::<u8>(),]
}

fn blanks() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop::sample::select(vec![' ', '\t']), 0..=BLANKS)
        .prop_map(|blanks| blanks.into_iter().collect())
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just("\r\n"), 1 => Just("\n")]
}

/// Bytes that may look like anything.
fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 1..200),
        1 => Just(b"GET /evil HTTP/1.1\r\n\r\nHTTP/1.1 500 No\r\n\r\n0\r\n\r\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 4_000..9_000),
    ]
}

/// Fields that say nothing about the framing, though some look as if they did.
fn fields() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,24}".prop_filter("framing has its own lines", |name| {
            !["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
        }),
        1 => prop::sample::select(vec!["X-Content-Length", "Content-Lengths", "Transfer-Encodings", "TE"])
            .prop_map(String::from),
    ];
    let value = prop_oneof![4 => "[!-~ ]{0,40}", 1 => "[!-~]{100,300}", 1 => "[0-9]{1,4}"];
    let line = (name, blanks(), value, blanks(), line_end())
        .prop_map(|(name, before, value, after, end)| format!("{name}:{before}{value}{after}{end}"));
    proptest::collection::vec(line, 0..5).prop_map(|lines| lines.concat())
}

/// Letters in either case, as `choice` says.
fn cased(text: &str, choice: u32) -> String {
    let letter = |(n, c): (usize, char)| match choice >> (n % 32) & 1 {
        0 => c.to_ascii_lowercase(),
        _ => c.to_ascii_uppercase(),
    };
    text.chars().enumerate().map(letter).collect()
}

/// A framing field and a body that fits it.
fn framed() -> impl Strategy<Value = (String, Vec<u8>)> {
    let zeros = || (0..=ZEROS).prop_map(|n| "0".repeat(n));
    let length = (prop_oneof![Just(vec![]), content()], zeros())
        .prop_map(|(body, zeros)| ("Content-Length", format!("{zeros}{}", body.len()), body));
    let chunk = (content(), zeros(), any::<bool>(), prop_oneof![Just(""), Just(";x"), Just("; q=\"1\"")])
        .prop_map(|(body, zeros, upper, extension)| {
            let size = if upper { format!("{:X}", body.len()) } else { format!("{:x}", body.len()) };
            [format!("{zeros}{size}{extension}\r\n").as_bytes(), &body, b"\r\n"].concat()
        });
    let end = prop::sample::select(vec!["0\r\n\r\n", "000\r\n\r\n", "0;x\r\n\r\n", "0\r\nX-Sum: 1\r\n\r\n"]);
    let codings = prop::sample::select(vec!["chunked", "gzip, chunked", "gzip,chunked", ",chunked"]);
    let chunked =
        (proptest::collection::vec(chunk, 0..4), end, codings).prop_map(|(chunks, end, codings)| {
            let body = [chunks.concat().as_slice(), end.as_bytes()].concat();
            ("Transfer-Encoding", codings.to_owned(), body)
        });
    (prop_oneof![length, chunked], any::<u32>(), blanks(), blanks(), line_end()).prop_map(
        |((name, value, body), case, before, after, end)| {
            let value = if name == "Transfer-Encoding" { cased(&value, case) } else { value };
            (format!("{}:{before}{value}{after}{end}", cased(name, case)), body)
        },
    )
}

fn request_line() -> impl Strategy<Value = (String, String)> {
    let method = prop_oneof![
        8 => prop::sample::select(vec!["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
            .prop_map(String::from),
        1 => "[A-Za-z!#$%&'*+.^_`|~-]{1,23}".prop_filter("tunnels are another case", |m| m != "CONNECT"),
    ];
    let target = prop_oneof![
        6 => "/[!-~]{0,40}",
        1 => "/[a-z/]{90,200}",
        1 => "http://[a-z]{1,9}/[a-z]{0,9}",
        1 => Just("*".to_owned()),
    ];
    let empty = prop_oneof![8 => Just(""), 1 => Just("\r\n"), 1 => Just("\n\r\n")];
    let version = prop_oneof![9 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0")];
    (empty, method, target, version, line_end()).prop_map(|(empty, method, target, version, end)| {
        let line = format!("{empty}{method} {target} {version}{end}");
        (method, line)
    })
}

/// A request, its method, and whether it may have a coded body.
fn request() -> impl Strategy<Value = (String, Vec<u8>)> {
    (request_line(), fields(), prop::option::of(framed()), fields(), line_end()).prop_map(
        |((method, line), before, framed, after, end)| {
            // HTTP/1.0 knows no codings.
            let framed = framed.filter(|(field, _)| !line.contains("HTTP/1.0") || !is_coding(field));
            let (field, body) = framed.unwrap_or_default();
            (method, [format!("{line}{before}{field}{after}{end}").as_bytes(), &body].concat())
        },
    )
}

fn is_coding(field: &str) -> bool {
    field.to_ascii_lowercase().starts_with("transfer-encoding")
}

fn interim() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 7\r\n\r\nHTTP/1.1 102 P\r\n\r\n",
    ])
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let status =
        prop_oneof![prop::sample::select(vec![200u16, 201, 204, 301, 304, 404, 500, 503]), 200u16..1000,];
    let reason = prop_oneof![Just(""), Just(" "), Just(" OK"), Just(" Not   so: 204 HTTP/1.1")];
    (request(), interim(), status, reason, fields(), framed(), line_end()).prop_map(
        |((method, request), interim, status, reason, fields, (field, body), end)| {
            let head = format!("{interim}HTTP/1.1 {status}{reason}{end}{fields}{field}{end}");
            let bodiless = method == "HEAD" || matches!(status, 204 | 304);
            let body = if bodiless { vec![] } else { body };
            (request, [head.as_bytes(), &body].concat())
        },
    )
}

/// The last exchange of a connection: its answer ends with it.
fn until_close() -> impl Strategy<Value = Exchange> {
    let version = prop::sample::select(vec!["HTTP/1.0", "HTTP/1.1"]);
    (request(), version, fields(), content()).prop_map(|((method, request), version, fields, body)| {
        let head = format!("{version} 200 OK\r\n{fields}\r\n");
        let body = if method == "HEAD" { vec![] } else { body };
        (request, [head.as_bytes(), &body].concat())
    })
}
