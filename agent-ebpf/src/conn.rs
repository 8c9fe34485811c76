//! What the observer keeps of one connection: the value that lies with the socket in the kernel.
//!
//! The two directions of a socket run on two CPUs at once, so every field has one writer: [`Conn::facts`] is
//! written before data flows, [`Conn::request`] by the program of the request's direction, [`Conn::response`]
//! by that of the answer's, and [`Pending`] is a queue with one producer and one consumer.

mod pending;

pub use pending::{End, PATH_HEAD, PATH_REST, PENDING, Pending, Reads, Slot};

use core::mem::offset_of;

use crate::shared::{Flag, Shared};
use crate::window::CARRY;
use crate::{COMM_LEN, Leg, Outcome};

/// Everything that the observer keeps of one connection. All zeros is a valid value: a connection of which
/// nothing is known.
///
/// The two directions run on two CPUs, and a cache line that one of them writes costs the other a hundred
/// nanoseconds to read. So what is written for each packet lies apart, by who writes it. The kernel puts the
/// value eight bytes behind the start of a cache line (`struct bpf_local_storage_data`), hence the first 56 bytes.
#[repr(C)]
pub struct Conn {
    /// Changes whenever the thread of this connection is lost: what was pending before has lost its answer.
    pub epoch: Shared,
    /// What cannot be read.
    pub blind: Blind,
    /// Who and where; written once, before data flows.
    pub facts: Facts,
    _alone: [u64; 4],
    /// The direction of requests.
    pub request: Direction,
    /// The direction of answers.
    pub response: Direction,
    /// Requests that wait for their answers.
    pub pending: Pending,
    /// When the server read them.
    pub reads: Reads,
}

/// Which of a connection's bytes cannot be read. Each field is written once.
#[repr(C)]
pub struct Blind {
    /// 1 when the requests' direction speaks another protocol.
    pub requests: Flag,
    /// 1 when the answers' direction does.
    pub answers: Flag,
    /// 1 once the connection became a tunnel, or another protocol (RFC 9110 §7.8, §9.3.6).
    pub tunnel: Flag,
    /// 1 once the place was lost among requests that overlap. Either direction writes it.
    pub lost: Flag,
    _pad: [u8; 4],
}

/// Who and where.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Facts {
    /// Address of this end, IPv4 in the mapped form, network byte order.
    pub local_addr: [u8; 16],
    /// Address of the other end, likewise.
    pub remote_addr: [u8; 16],
    /// Port of this end.
    pub local_port: u16,
    /// Port of the other end.
    pub remote_port: u16,
    /// A [`Leg`], or 0 while not known.
    pub leg: u8,
    /// 1 when the connection is older than the observer.
    pub mid_stream: u8,
    /// 1 when the connection is the observer's own, or of a port that was not chosen.
    pub left_out: u8,
    /// Always 0.
    pub _pad: u8,
    /// The control group of the socket: the inode number of its directory in cgroup v2; 0 when not known.
    pub cgroup: u64,
    /// Name of the task that connected.
    pub comm: [u8; COMM_LEN],
    /// Process that connected; 0 when not known.
    pub pid: u32,
    /// Always 0.
    pub _pad2: u32,
}

impl Facts {
    /// Whether both ends have the same address: the kernel chooses it so for a connection within one host.
    #[inline(always)]
    pub fn is_within_host(&self) -> bool {
        u128::from_ne_bytes(self.local_addr) == u128::from_ne_bytes(self.remote_addr)
    }

    /// The port at which the server listens, whichever end that is.
    #[inline(always)]
    pub fn service_port(&self) -> u16 {
        match self.leg() {
            Leg::Server => self.local_port,
            Leg::Client => self.remote_port,
        }
    }

    /// The side that the connection is on; the server leg while not known.
    #[inline(always)]
    pub fn leg(&self) -> Leg {
        if self.leg == Leg::Client as u8 { Leg::Client } else { Leg::Server }
    }
}

/// [`Direction::ended`]: by FIN.
pub const CLOSED: u8 = 1;
/// [`Direction::ended`]: by RST.
pub const RESET: u8 = 2;

impl Conn {
    /// How requests end that still wait when the answers' direction ends, by RST or by FIN.
    #[inline(always)]
    pub fn outcome_at_end(&self, reset: bool) -> Outcome {
        match (self.request.ended, reset) {
            // The client went first: the server only followed.
            (CLOSED, _) => Outcome::ClientClosed,
            (_, true) => Outcome::ServerReset,
            (_, false) => Outcome::ServerClosed,
        }
    }

    /// How requests end that still wait when the socket is closed; `unacknowledged` when it was sending something
    /// again by then.
    #[inline(always)]
    pub fn outcome_at_close(&self, unacknowledged: bool) -> Outcome {
        match (self.request.ended, self.facts.leg()) {
            (RESET, _) => Outcome::ClientReset,
            (CLOSED, _) => Outcome::ClientClosed,
            _ if unacknowledged => Outcome::Aborted,
            // Nobody said goodbye, and nobody failed to answer: this end resets the connection, and the kernel
            // closes the socket before it sends the RST (`tcp_disconnect`, `__tcp_close`).
            (_, Leg::Server) => Outcome::ServerReset,
            (_, Leg::Client) => Outcome::ClientReset,
        }
    }

    /// Whether nothing of this connection can be read, or shall be.
    #[inline(always)]
    pub fn is_blind(&self) -> bool {
        let Blind { requests, answers, tunnel, lost, .. } = &self.blind;
        self.facts.left_out != 0
            || tunnel.is_set()
            || lost.is_set()
            || (requests.is_set() && answers.is_set())
    }
}

/// [`Conn::epoch`] now.
#[inline(always)]
pub fn epoch(of: &Shared) -> u32 {
    of.get() as u32
}

/// What a direction expects next.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is certain: the place was lost, or never known.
    Unsynced = 0,
    /// A request line or status line; empty lines before it are skipped (RFC 9112 §2.2).
    Start = 1,
    /// A header line, or the empty line that ends the head.
    Header = 2,
    /// `skip` bytes of a body.
    Body = 3,
    /// A line with a chunk's size (RFC 9112 §7.1).
    ChunkSize = 4,
    /// `skip` bytes of a chunk, its closing CRLF included.
    ChunkData = 5,
    /// A trailer line, or the empty line that ends the message.
    Trailer = 6,
    /// A body that ends with the connection.
    UntilClose = 7,
    /// Nothing that can be read: another protocol, or a tunnel.
    Opaque = 8,
}

impl State {
    /// The state that is kept as `n`.
    #[inline(always)]
    pub const fn decode(n: u8) -> Self {
        match n {
            1 => Self::Start,
            2 => Self::Header,
            3 => Self::Body,
            4 => Self::ChunkSize,
            5 => Self::ChunkData,
            6 => Self::Trailer,
            7 => Self::UntilClose,
            8 => Self::Opaque,
            _ => Self::Unsynced,
        }
    }
}

/// Bits of [`Direction::framing`].
pub mod framing {
    /// A `Content-Length` was read.
    pub const LENGTH: u8 = 1;
    /// A `Transfer-Encoding` was read.
    pub const ENCODED: u8 = 2;
    /// Its last coding is `chunked`.
    pub const CHUNKED: u8 = 4;
}

/// What is known of one direction of a connection.
#[repr(C)]
pub struct Direction {
    /// A [`State`].
    pub state: u8,
    /// 1 while the rest of a line is skipped whose beginning was already taken in.
    pub long: u8,
    /// Bits of [`framing`] for the message under way.
    pub framing: u8,
    /// Bytes of `carried` that belong to an unfinished line.
    pub carried_len: u8,
    /// Sequence number of the next byte expected.
    pub next_seq: u32,
    /// [`Conn::epoch`] as this direction last saw it.
    pub epoch: u32,
    /// Requests: number of the message under way, 0 when its place in [`Pending`] was taken. Answers: number of
    /// the newest request when the place was lost.
    pub ordinal: u32,
    /// Requests: number of the newest answer as last looked up.
    pub answered: u32,
    /// Bytes of the message's head; for answers, with the interim ones before it. 0 until the head has ended.
    pub head: u32,
    /// Answers: status of the message under way; 0 until its status line was read.
    pub status: u16,
    /// Requests: a method, from request line to the end of the head.
    pub method: u8,
    /// 1 once this direction began in the middle of a connection, until a request line proves its place.
    pub tentative: u8,
    /// [`CLOSED`] or [`RESET`] once this direction has ended.
    pub ended: u8,
    /// 1 once the kind of the connection was counted. Requests only.
    pub counted: u8,
    /// Segments that were kept since the place was last certain; see [`crate::stash`]. 0 when none waits.
    pub held: u8,
    /// Always 0.
    pub _pad: u8,
    /// Bytes left of a body, or of a chunk and its CRLF; within a head, the value of `Content-Length`.
    pub skip: u64,
    /// Bytes of the message under way; for answers, with the interim ones before it.
    pub bytes: u64,
    /// When the first byte of the message under way passed, in nanoseconds of `CLOCK_MONOTONIC`; 0 before it.
    pub start_ns: u64,
    /// Answers: when the last one ended.
    pub last_end_ns: u64,
    /// The unfinished line.
    pub carried: [u64; CARRY / 8],
}

impl Direction {
    /// What is expected next.
    #[inline(always)]
    pub fn state(&self) -> State {
        State::decode(self.state)
    }

    /// Expects `state` next.
    #[inline(always)]
    pub fn expect(&mut self, state: State) {
        self.state = state as u8;
    }

    /// Expects the start of a message at `seq`.
    #[inline(always)]
    pub fn open(&mut self, seq: u32) {
        self.next_seq = seq;
        self.expect(State::Start);
    }

    /// Whether what comes next is a known number of bytes, or all of them, that nobody needs to see.
    #[inline(always)]
    pub fn in_body(&self) -> bool {
        matches!(self.state(), State::Body | State::ChunkData | State::UntilClose)
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;
/// Where the kernel puts the value within a cache line.
const VALUE: usize = 8;
const _: () = assert!((VALUE + offset_of!(Conn, request)).is_multiple_of(LINE));
const _: () = assert!(offset_of!(Direction, carried) == LINE && size_of::<Direction>() == 4 * LINE);
const _: () = assert!(VALUE + offset_of!(Conn, facts) + offset_of!(Facts, cgroup) == LINE);
const _: () = assert!((VALUE + offset_of!(Conn, pending)).is_multiple_of(LINE));
// With the kernel's bookkeeping of 72 bytes, a page: stated in ARCHITECTURE.md.
const _: () = assert!(size_of::<Conn>() + 72 <= 4096);
