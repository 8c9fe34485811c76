//! What the observer keeps of one connection: the value that lies with the socket in the kernel.
//!
//! The two directions of a socket run on two CPUs at once, so every field has one writer: [`Conn::facts`] is
//! written before data flows, [`Conn::request`] by the program of the request's direction, [`Conn::response`]
//! by that of the answer's, and [`Pending`] is a queue with one producer and one consumer.

use core::cell::UnsafeCell;

use crate::shared::Shared;
use crate::window::CARRY;
use crate::{COMM_LEN, Leg, Outcome, PATH_MAX};

/// Requests of one connection that can wait for their answers at once. Further ones are lost, and counted.
pub const PENDING: usize = 16;

/// Words of a path.
pub const PATH_WORDS: usize = PATH_MAX / 8;

/// Everything that the observer keeps of one connection. All zeros is a valid value: a connection of which
/// nothing is known.
#[repr(C)]
pub struct Conn {
    /// Who and where; written once, before data flows.
    pub facts: Facts,
    /// Changes whenever the thread of this connection is lost: what was pending before has lost its answer.
    pub epoch: Shared,
    /// 1 while a program works on the direction that comes in.
    pub ingress_lock: Shared,
    /// The direction of requests.
    pub request: Direction,
    /// The direction of answers.
    pub response: Direction,
    /// Requests that wait for their answers.
    pub pending: Pending,
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
    /// Process that connected; 0 when not known.
    pub pid: u32,
    /// Name of the task that connected.
    pub comm: [u8; COMM_LEN],
    /// A [`Leg`], or 0 while not known.
    pub leg: u8,
    /// 1 when the connection is older than the observer.
    pub mid_stream: u8,
    /// 1 when the connection is the observer's own.
    pub own: u8,
    /// Always 0.
    pub _pad: [u8; 5],
}

impl Facts {
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
        self.facts.own != 0
            || (self.request.state == State::Opaque as u8 && self.response.state == State::Opaque as u8)
            || self.response.upgraded != 0
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
    /// 1 once the connection became a tunnel or another protocol. Answers only.
    pub upgraded: u8,
    /// Always 0.
    pub _pad: u8,
    /// Bytes left of a body, or of a chunk and its CRLF.
    pub skip: u64,
    /// Value of `Content-Length`.
    pub length: u64,
    /// Bytes of the message under way; for answers, with the interim ones before it.
    pub bytes: u64,
    /// When the first byte of the message under way passed, in nanoseconds of `CLOCK_MONOTONIC`; 0 before it.
    pub start_ns: u64,
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

/// A request that waits for its answer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slot {
    /// First byte of the request.
    pub start_ns: u64,
    /// Bytes of the request so far.
    pub request_bytes: u64,
    /// Number of the request on its connection; tells a slot that is used from one that is stale.
    pub ordinal: u32,
    /// [`Conn::epoch`] when the request came.
    pub epoch: u32,
    /// A method.
    pub method: u8,
    /// Bits of [`crate::flags`].
    pub flags: u8,
    /// Bytes of `path` that are set.
    pub path_len: u8,
    /// Always 0.
    pub _pad: [u8; 5],
    /// The target up to its query, cut; the rest is zero.
    pub path: [u64; PATH_WORDS],
}

/// The queue of requests that wait for their answers: the request's direction puts in, the answer's takes out.
///
/// Request `n` lies in slot `n % PENDING`. When that slot is still taken the request is numbered but not kept,
/// so that the answers after it still find their own requests.
#[repr(C)]
pub struct Pending {
    requested: Shared,
    answered: Shared,
    slots: UnsafeCell<[Slot; PENDING]>,
}

// SAFETY: a slot is written by the producer only while its number is not published, or is not yet answered and
// the field is one that only the producer writes; the consumer reads it in between. See `requested`.
unsafe impl Sync for Pending {}

impl Pending {
    /// Number of the newest request.
    #[inline(always)]
    pub fn requested(&self) -> u32 {
        self.requested.get() as u32
    }

    /// Number of the newest request that is done with.
    #[inline(always)]
    pub fn answered(&self) -> u32 {
        self.answered.get() as u32
    }

    /// Requests that wait.
    #[inline(always)]
    pub fn waiting(&self) -> u32 {
        self.requested().wrapping_sub(self.answered())
    }

    /// Producer: makes request `ordinal` visible.
    #[inline(always)]
    pub fn publish(&self, ordinal: u32) {
        self.requested.swap(u64::from(ordinal));
    }

    /// Consumer: is done with request `ordinal`.
    #[inline(always)]
    pub fn retire(&self, ordinal: u32) {
        self.answered.swap(u64::from(ordinal));
    }

    /// Where request `ordinal` lies.
    #[inline(always)]
    pub fn slot(&self, ordinal: u32) -> *mut Slot {
        // SAFETY: the index is masked to the array's length.
        unsafe { self.slots.get().cast::<Slot>().add(slot_index(ordinal)) }
    }
}

/// Index of a slot, in a form that no optimisation takes the mask from.
#[inline(always)]
fn slot_index(ordinal: u32) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut index = u64::from(ordinal);
        // SAFETY: one arithmetic instruction on a register; see `window::mask` for why it is assembly.
        unsafe {
            core::arch::asm!("{0} &= {1}", inout(reg) index, const PENDING as u64 - 1, options(pure, nomem, nostack))
        };
        index as usize
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        ordinal as usize % PENDING
    }
}

const _: () = assert!(PENDING.is_power_of_two());
const _: () = assert!(size_of::<Slot>() == 128);
// What one observed connection costs the kernel, without its bookkeeping: stated in ARCHITECTURE.md.
const _: () = assert!(size_of::<Conn>() <= 2560);
