//! What a fuzzer's bytes mean: a script of segments and other events on one connection.
//!
//! A byte `ff` begins an event, the byte after it says which, and what follows up to the next `ff` is its payload.
//! Bytes before the first `ff` are a segment of the request, so that a file with a plain request is a script, too.
//! Within a payload, `fe N C` stands for 16 × N times `C`, so that long lines take few bytes.
//!
//! | event | meaning |
//! |---|---|
//! | `>` `<` | a segment of the request, of the answer |
//! | `)` `(` | the last segment of the request, of the answer, once more |
//! | `}` `{` | as many bytes as the payload has, of the request, of the answer, never pass |
//! | `]` `[` | a stray segment; the payload's first two bytes say how far ahead of its place, or behind |
//! | `f` `F` `e` `E` | the request's FIN and RST, the answer's FIN and RST |
//! | `o` `O` | the ring buffer is full, and has room again |
//! | `u` | the connection is older than the observer |

use std::fmt;

use super::wire::Way;

/// Most bytes that a script sends, so that one run stays short.
const MOST: usize = 12 * 1024;

/// One connection's story.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) mid_stream: bool,
    pub(super) events: Vec<Event>,
}

/// What happens on the connection.
#[derive(Clone)]
pub(super) enum Event {
    Send(Way, Vec<u8>),
    Again(Way),
    Miss(Way, u32),
    Stray(Way, u32, Vec<u8>),
    /// The direction has ended; true for a reset.
    End(Way, bool),
    RingFull(bool),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(way, bytes) => write!(f, "{way:?} \"{}\"", bytes.escape_ascii()),
            Self::Again(way) => write!(f, "{way:?} again"),
            Self::Miss(way, len) => write!(f, "{way:?} misses {len}"),
            Self::Stray(way, ahead, bytes) => {
                write!(f, "{way:?} at {:+} \"{}\"", ahead.cast_signed(), bytes.escape_ascii())
            }
            Self::End(way, reset) => write!(f, "{way:?} ends, reset: {reset}"),
            Self::RingFull(full) => write!(f, "ring full: {full}"),
        }
    }
}

impl Script {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut script = Self::default();
        let mut room = MOST;
        for (n, event) in bytes.split(|&b| b == 0xff).enumerate() {
            let (kind, payload) = match (n, event) {
                (0, payload) => (b'>', payload),
                (_, [kind, payload @ ..]) => (*kind, payload),
                (_, []) => continue,
            };
            script.add(kind, expand(payload, &mut room));
        }
        script
    }

    fn add(&mut self, kind: u8, payload: Vec<u8>) {
        let len = payload.len() as u32;
        let stray = |way| match payload.split_first_chunk() {
            Some((ahead, rest)) => {
                let ahead = i32::from(i16::from_be_bytes(*ahead)).cast_unsigned();
                Event::Stray(way, ahead, rest.to_vec())
            }
            None => Event::Again(way),
        };
        self.events.push(match kind {
            b'>' => Event::Send(Way::Request, payload),
            b'<' => Event::Send(Way::Answer, payload),
            b')' => Event::Again(Way::Request),
            b'(' => Event::Again(Way::Answer),
            b'}' => Event::Miss(Way::Request, len),
            b'{' => Event::Miss(Way::Answer, len),
            b']' => stray(Way::Request),
            b'[' => stray(Way::Answer),
            b'f' => Event::End(Way::Request, false),
            b'F' => Event::End(Way::Request, true),
            b'e' => Event::End(Way::Answer, false),
            b'E' => Event::End(Way::Answer, true),
            b'o' => Event::RingFull(true),
            b'O' => Event::RingFull(false),
            b'u' => {
                self.mid_stream = true;
                return;
            }
            _ => return,
        });
    }

    /// Whether every byte passes, in order, from the connection's beginning on.
    pub(super) fn is_lossless(&self) -> bool {
        !self.mid_stream
            && !self.events.iter().any(|event| matches!(event, Event::Miss(..) | Event::Stray(..)))
    }

    pub(super) fn has_strays(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Stray(..)))
    }

    /// All that `way` carries.
    pub(super) fn bytes_of(&self, way: Way) -> Vec<u8> {
        let sent = self.events.iter().map(|event| match event {
            Event::Send(of, bytes) if *of == way => bytes.as_slice(),
            _ => &[],
        });
        sent.collect::<Vec<_>>().concat()
    }

    /// The same bytes in as few segments as keep the order between the directions; nothing is sent twice.
    pub(super) fn coalesced(&self) -> Self {
        let mut events: Vec<Event> = Vec::new();
        for event in self.once() {
            match (events.last_mut(), event) {
                (Some(Event::Send(last, sent)), Event::Send(way, bytes)) if last == way => {
                    sent.extend_from_slice(bytes);
                }
                (_, event) => events.push(event.clone()),
            }
        }
        Self { events, ..*self }
    }

    /// The same bytes, each in a segment of its own; nothing is sent twice.
    pub(super) fn bytewise(&self) -> Self {
        let mut events = Vec::new();
        for event in self.once() {
            match event {
                Event::Send(way, bytes) => events.extend(bytes.iter().map(|&b| Event::Send(*way, vec![b]))),
                event => events.push(event.clone()),
            }
        }
        Self { events, ..*self }
    }

    fn once(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| !matches!(event, Event::Again(_)))
    }
}

fn expand(mut payload: &[u8], room: &mut usize) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&first, rest)) = payload.split_first() {
        let (byte, times) = match (first, rest) {
            (0xfe, [n, byte, rest @ ..]) => {
                payload = rest;
                (*byte, 16 * usize::from(*n))
            }
            _ => {
                payload = rest;
                (first, 1)
            }
        };
        let times = times.min(*room);
        *room -= times;
        out.resize(out.len() + times, byte);
    }
    out
}
