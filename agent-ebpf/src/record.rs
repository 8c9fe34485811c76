//! The record of one request: what the kernel's half writes into the ring buffer, and userspace decodes.

use core::ops::Deref;

/// Longest path kept, in bytes. The query string is never part of it.
pub const PATH_MAX: usize = 152;

/// Longest path that a short record holds, in bytes.
pub const PATH_SHORT: usize = 24;

/// Length of a task's name in the kernel (`TASK_COMM_LEN`), in bytes, with its closing NUL.
pub const COMM_LEN: usize = 16;

/// One request, answered or not: its facts and the beginning of its path, as they lie in the ring buffer. A path
/// longer than [`PATH_SHORT`] goes on behind them, in [`PATH_MAX`] - [`PATH_SHORT`] further bytes.
///
/// Fixed-width integers in native byte order, explicit padding, no enum: whatever the bytes, they are a valid
/// `RecordHead`; [`Record::decode`] checks what they mean.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// First byte of the request at the socket, in nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// From `start_ns` to the first byte of the final answer; 0 without an answer.
    pub ttfb_ns: u64,
    /// From `start_ns` to the last byte of the answer, or to the end of the connection.
    pub duration_ns: u64,
    /// From `start_ns` until the server read from the socket: how long the request lay in the kernel. 0 when nobody
    /// knows: on the client leg, before Linux 6.3, and where the answer came before any read.
    pub unread_ns: u64,
    /// Head and body of the request, in bytes, as far as they had passed by then.
    pub request_bytes: u64,
    /// Heads (interim ones included) and body of the answer, in bytes.
    pub response_bytes: u64,
    /// A hash of the request's `X-Request-Id`, or else of its `traceparent`: equal on every leg and try that
    /// passes it on; 0 when it has neither.
    pub request_id: u64,
    /// Control group of the socket: the inode number of its directory in cgroup v2; 0 when not known.
    pub cgroup: u64,
    /// Address of this end, IPv4 in the mapped form (RFC 4291 §2.5.5.2), network byte order.
    pub local_addr: [u8; 16],
    /// Address of the other end, likewise.
    pub remote_addr: [u8; 16],
    /// Name of the task that connected, padded with NUL; all NUL where `pid` is 0.
    pub comm: [u8; COMM_LEN],
    /// Process that connected (thread group id); 0 on the server leg, and where the connection is older than
    /// the observer.
    pub pid: u32,
    /// 1 for the first request that the observer saw on this connection.
    pub ordinal: u32,
    /// Bytes of the answer's heads, part of `response_bytes`.
    pub response_head: u32,
    /// Smoothed round-trip time when the request ended, in microseconds.
    pub srtt_us: u32,
    /// Bytes of the request's head, part of `request_bytes`: 65,535 for longer ones, 0 when it had not ended.
    pub request_head: u16,
    /// Segments that this end sent again between the request's beginning and its end, modulo 65,536.
    pub retransmits: u16,
    /// Port of this end.
    pub local_port: u16,
    /// Port of the other end.
    pub remote_port: u16,
    /// Final status; 0 when there was none.
    pub status: u16,
    /// See [`Leg`].
    pub leg: u8,
    /// See [`Method`].
    pub method: u8,
    /// See [`Outcome`].
    pub outcome: u8,
    /// Bits of [`flags`].
    pub flags: u8,
    /// Bytes of the path.
    pub path_len: u8,
    /// Always 0.
    pub _pad: u8,
    /// The first bytes of the path; zeros behind it.
    pub path: [u64; PATH_SHORT / 8],
}

/// Bytes of a record whose path is short.
pub const SHORT: usize = size_of::<RecordHead>();

/// Bytes of a record whose path is long.
pub const LONG: usize = SHORT + PATH_MAX - PATH_SHORT;

const _: () = assert!(SHORT == 168 && LONG == 296);
const _: () = assert!(align_of::<RecordHead>() == 8);

/// One request, answered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// All but the path.
    pub head: RecordHead,
    /// Path of the request's target, cut at [`PATH_MAX`] bytes; the rest is NUL.
    pub path: [u8; PATH_MAX],
}

impl Deref for Record {
    type Target = RecordHead;

    fn deref(&self) -> &RecordHead {
        &self.head
    }
}

/// Bits of [`Record::flags`].
pub mod flags {
    /// The path was longer than [`super::PATH_MAX`].
    pub const PATH_CUT: u8 = 1;
    /// The request arrived before the answer to an earlier one had ended.
    pub const PIPELINED: u8 = 2;
    /// The connection is older than the observer.
    pub const MID_STREAM: u8 = 4;
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRecord {
    /// Neither [`SHORT`] nor [`LONG`], or not of the length that its path needs.
    Length(usize),
    /// `leg` is none of [`Leg`].
    Leg(u8),
    /// `method` is none of [`Method`].
    Method(u8),
    /// `outcome` is none of [`Outcome`].
    Outcome(u8),
    /// `path_len` is over [`PATH_MAX`].
    PathLen(u8),
}

impl core::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length(n) => write!(f, "{n} bytes where a record has {SHORT} or {LONG}"),
            Self::Leg(n) => write!(f, "unknown leg {n}"),
            Self::Method(n) => write!(f, "unknown method {n}"),
            Self::Outcome(n) => write!(f, "unknown outcome {n}"),
            Self::PathLen(n) => write!(f, "a path of {n} bytes where at most {PATH_MAX} fit"),
        }
    }
}

impl core::error::Error for BadRecord {}

impl Record {
    /// The record that `bytes` hold, with every field checked.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let Some((head, rest)) = bytes.split_at_checked(SHORT) else {
            return Err(BadRecord::Length(bytes.len()));
        };
        // SAFETY: the length is that of a RecordHead, whose fields are integers or arrays of them, so that any bytes are
        // a valid value; the read is unaligned because the slice may lie anywhere.
        let head: RecordHead = unsafe { core::ptr::read_unaligned(head.as_ptr().cast()) };
        Leg::decode(head.leg)?;
        Method::decode(head.method)?;
        Outcome::decode(head.outcome)?;
        let len = usize::from(head.path_len);
        if len > PATH_MAX {
            return Err(BadRecord::PathLen(head.path_len));
        }
        if rest.len() != if len > PATH_SHORT { LONG - SHORT } else { 0 } {
            return Err(BadRecord::Length(bytes.len()));
        }
        let mut path = [0; PATH_MAX];
        let (start, end) = path.split_at_mut(PATH_SHORT);
        for (eight, word) in start.chunks_exact_mut(8).zip(head.path) {
            eight.copy_from_slice(&word.to_ne_bytes());
        }
        end[..rest.len()].copy_from_slice(rest);
        path[len..].fill(0);
        Ok(Self { head, path })
    }

    /// The side on which the request was seen.
    pub fn leg(&self) -> Leg {
        Leg::decode(self.leg).unwrap_or(Leg::Server)
    }

    /// The request's method.
    pub fn method(&self) -> Method {
        Method::decode(self.method).unwrap_or(Method::Other)
    }

    /// How the request ended.
    pub fn outcome(&self) -> Outcome {
        Outcome::decode(self.outcome).unwrap_or(Outcome::Aborted)
    }

    /// The path, as far as it was kept; bytes from outside, not necessarily UTF-8.
    pub fn path(&self) -> &[u8] {
        &self.path[..usize::from(self.path_len).min(PATH_MAX)]
    }

    /// Name of the task that connected; empty on the server leg.
    pub fn comm(&self) -> &[u8] {
        let end = self.comm.iter().position(|&b| b == 0).unwrap_or(COMM_LEN);
        &self.comm[..end]
    }
}

/// Makes a fieldless enum whose values travel as `u8`, with a checked conversion back.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident or $bad:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)+ }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value that travels as `n`.
            pub const fn decode(n: u8) -> Result<Self, BadRecord> {
                match n { $($value => Ok(Self::$variant),)+ n => Err(BadRecord::$bad(n)) }
            }
        }
    };
}

wire_enum! {
    /// The side of a process on which a request was seen.
    Leg or Leg {
        /// On a socket that the host accepted.
        Server = 1,
        /// On a socket that the host opened.
        Client = 2,
    }
}

wire_enum! {
    /// Request methods: those of RFC 9110 §9 and RFC 5789; everything else is [`Method::Other`].
    Method or Method {
        /// Any other token.
        Other = 0,
        /// `GET`
        Get = 1,
        /// `HEAD`
        Head = 2,
        /// `POST`
        Post = 3,
        /// `PUT`
        Put = 4,
        /// `DELETE`
        Delete = 5,
        /// `CONNECT`
        Connect = 6,
        /// `OPTIONS`
        Options = 7,
        /// `TRACE`
        Trace = 8,
        /// `PATCH`
        Patch = 9,
    }
}

wire_enum! {
    /// How a request ended.
    Outcome or Outcome {
        /// A final status and its whole body.
        Answered = 0,
        /// A final status, but the connection ended before the promised length.
        CutBody = 1,
        /// The client reset the connection before a final answer.
        ClientReset = 2,
        /// The client closed the connection before a final answer.
        ClientClosed = 3,
        /// The server reset the connection before a final answer.
        ServerReset = 4,
        /// The server closed the connection before a final answer.
        ServerClosed = 5,
        /// The kernel gave the connection up before a final answer.
        Aborted = 6,
    }
}

impl Method {
    /// The method as OpenTelemetry's conventions write it: upper case, `_OTHER` for unknown ones.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "_OTHER",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}
