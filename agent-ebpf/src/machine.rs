//! The HTTP/1 state machine: finds heads, framing and message ends in the bytes of one direction
//! (RFC 9112), however they are cut into segments.
//!
//! A run takes one segment: [`Machine::admit`] says whether its bytes need looking at, [`Machine::step`] is
//! called until it says [`Step::Done`], and `settle` closes the run on requests. Each step does a bounded
//! piece of work, so that the kernel can drive it with `bpf_loop`; natively a plain loop does.

mod answers;
mod head;
mod placing;
mod request_id;
mod requests;
mod start_line;

pub use answers::Answers;
pub use placing::{Admitted, Segment};
pub use requests::Requests;

use crate::conn::{Blind, Direction, Facts, PATH_REST, Pending, Reads, State, epoch};
use crate::shared::{Flag, Shared};
use crate::window::{CARRY, LOAD, STRIDE, Window, lf_in};
use crate::{Counter, RecordHead};

/// Bytes kept of a line that is skipped, where its end still matters: ` HTTP/1.1` and a CR.
const LONG_KEEP: u32 = 16;

/// Words that [`Machine::skim`] looks at in one step.
const SKIM: u32 = 32;

/// Sets the bit that tells ASCII lower case from upper case in eight bytes at once.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// Most steps that a segment of `len` bytes takes: every step consumes a byte, or loads, or ends.
pub const fn max_steps(len: u32) -> u32 {
    2 * len + 64
}

/// Whether `first`, eight bytes, begin a request line with a registered method.
#[inline(always)]
pub fn is_request(first: u64) -> bool {
    start_line::known_method(first).is_some()
}

/// What the connection says of itself at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp {
    /// Smoothed round-trip time in microseconds.
    pub srtt_us: u32,
    /// Segments sent again so far.
    pub retransmits: u32,
}

/// What the machine needs from where it runs.
pub trait Host {
    /// Copies `len` bytes from `offset` of the packet into the window at `at`. False when that fails.
    ///
    /// `at` is at most [`CARRY`], `len` is 1 to [`LOAD`].
    fn load(&mut self, window: &mut Window, at: u32, offset: u32, len: u32) -> bool;
    /// Adds one to a counter of this connection's leg.
    fn count(&mut self, counter: Counter);
    /// Sends one record: its head, written by `fill`, and what a long path has beyond it. False when there is no
    /// room.
    fn emit(&mut self, path_rest: Option<&[u64; PATH_REST]>, fill: impl FnOnce(&mut RecordHead)) -> bool;
    /// What the connection says of itself.
    fn tcp(&self) -> Tcp;
    /// Now, in nanoseconds of `CLOCK_MONOTONIC`.
    fn now_ns(&self) -> u64;
}

/// Where a run stands. Lies in memory that the kernel's verifier knows nothing about, so that every step looks
/// the same to it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Cursor {
    /// Where the line under way begins in the window.
    start: u32,
    /// Up to where it was searched for its end.
    scan: u32,
    /// Where the loaded bytes end.
    end: u32,
    /// Where the next byte to load lies in the packet.
    offset: u32,
    /// Bytes of the segment that are not loaded yet.
    left: u32,
}

/// Memory that a run works in.
#[repr(C)]
#[derive(Default)]
pub struct Scratch {
    /// Where the run stands.
    pub cursor: Cursor,
    /// What it looks at.
    pub window: Window,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call [`Machine::step`] again.
    More,
    /// All bytes are taken in.
    Done,
}

/// What differs between the direction of requests and that of answers.
pub trait Side: Sized {
    /// Whether `first`, the eight bytes that open a segment, begin a message for certain enough to find the
    /// place again.
    fn certain<H: Host>(m: &Machine<'_, Self, H>, first: u64) -> bool;
    /// Whether a header line that begins with these sixteen bytes, in lower case, matters.
    fn matters(first: u64, second: u64) -> bool;
    /// Whether `byte` can begin a start line.
    fn opens(byte: u8) -> bool;
    /// Takes in what a start line that goes on beyond the window begins with. False: it is none.
    fn start_prefix<H: Host>(m: &mut Machine<'_, Self, H>, start: u32) -> bool;
    /// Takes in the end of a start line whose beginning [`Side::start_prefix`] took in. False: it is none.
    fn start_end<H: Host>(m: &mut Machine<'_, Self, H>, eol: u32) -> bool;
    /// The line is no start line: the direction speaks something else. Nothing for `start` when the line's beginning
    /// has passed.
    fn refuse<H: Host>(m: &mut Machine<'_, Self, H>, start: Option<u32>);
    /// The head has ended: decides what follows (RFC 9112 §6.3).
    fn head_end<H: Host>(m: &mut Machine<'_, Self, H>);
    /// The place in this direction, or in the other, was lost.
    fn lost<H: Host>(m: &mut Machine<'_, Self, H>);
    /// Whether requests were sent before earlier ones were answered, as far as this direction knows.
    fn overlaps<H: Host>(m: &Machine<'_, Self, H>) -> bool;
    /// Nothing that this direction says can be read from now on.
    fn blind(blind: &Blind) -> &Flag;
    /// Takes in the header line from `start` to `eol`, which is neither about framing nor empty.
    fn header<H: Host>(m: &mut Machine<'_, Self, H>, start: u32, eol: u32);
    /// The message has ended.
    fn message_end<H: Host>(m: &mut Machine<'_, Self, H>);
}

/// One direction of one connection, and a segment of it.
pub struct Machine<'a, S, H> {
    /// Who and where.
    pub facts: &'a Facts,
    /// The connection's epoch.
    pub epoch: &'a Shared,
    /// What of it cannot be read.
    pub blind: &'a Blind,
    /// This direction.
    pub dir: &'a mut Direction,
    /// The queue between the two directions.
    pub pending: &'a Pending,
    /// When the server read requests.
    pub reads: &'a Reads,
    /// Memory to work in.
    pub scratch: &'a mut Scratch,
    /// Where it runs.
    pub host: &'a mut H,
    /// Which side this is.
    pub side: core::marker::PhantomData<S>,
}

impl<S: Side, H: Host> Machine<'_, S, H> {
    /// Does one bounded piece of work.
    #[inline(always)]
    pub fn step(&mut self) -> Step {
        let step = match self.dir.state() {
            State::Body | State::ChunkData => self.skip_body(),
            State::Start | State::Header | State::ChunkSize | State::Trailer => {
                let Cursor { start, scan, .. } = self.scratch.cursor;
                if self.dir.state() == State::Header && self.dir.long == 0 && scan == start {
                    self.skim();
                }
                self.line()
            }
            State::UntilClose => {
                let Cursor { start, end, left, .. } = self.scratch.cursor;
                self.dir.bytes += u64::from(end.wrapping_sub(start)) + u64::from(left);
                Step::Done
            }
            State::Unsynced | State::Opaque => Step::Done,
        };
        let Cursor { start, end, left, .. } = self.scratch.cursor;
        if start >= end && left == 0 { Step::Done } else { step }
    }

    /// The place in this direction is lost, and with it which answer belongs to which request.
    ///
    /// A client that waits for its answers makes the next request certain again. One that does not (pipelining)
    /// leaves nothing certain: requests that were not seen may still be answered, whatever comes after.
    #[inline(always)]
    pub fn lose(&mut self) {
        self.host.count(Counter::Resyncs);
        if S::overlaps(self) {
            self.blind.lost.set();
        }
        self.epoch.add(1);
        self.notice_loss();
    }

    /// Starts from nothing when this or the other direction has lost its place since the last run.
    #[inline(always)]
    fn notice_loss(&mut self) {
        let epoch = epoch(self.epoch);
        if self.dir.epoch != epoch {
            self.dir.epoch = epoch;
            if self.dir.state() != State::Opaque {
                self.dir.expect(State::Unsynced);
            }
            self.reset_message();
            self.dir.held = 0;
            S::lost(self);
        }
    }

    /// Forgets the message under way.
    #[inline(always)]
    fn reset_message(&mut self) {
        for field in [&mut self.dir.bytes, &mut self.dir.start_ns, &mut self.dir.skip] {
            // SAFETY: a field of ours. Volatile, or LLVM makes it a call of `memset`, which goes byte by byte.
            unsafe { core::ptr::write_volatile(field, 0) };
        }
        self.dir.head = 0;
        self.dir.framing = 0;
        self.dir.status = 0;
        self.dir.long = 0;
        self.dir.carried_len = 0;
    }

    /// Nothing more of this direction can be read.
    #[inline(always)]
    fn go_blind(&mut self) {
        self.dir.expect(State::Opaque);
        S::blind(self.blind).set();
    }

    /// Takes in as much of a body, or chunk, as there is.
    #[inline(always)]
    fn skip_body(&mut self) -> Step {
        let Cursor { start, end, left, .. } = self.scratch.cursor;
        let loaded = end.wrapping_sub(start);
        let there = u64::from(loaded) + u64::from(left);
        let taken = if self.dir.skip < there { self.dir.skip } else { there };
        self.dir.skip -= taken;
        self.dir.bytes += taken;
        // What fits a segment fits 32 bits.
        let taken = taken as u32;
        let cursor = &mut self.scratch.cursor;
        if taken <= loaded {
            cursor.start = start.wrapping_add(taken);
        } else {
            cursor.offset = cursor.offset.wrapping_add(taken - loaded);
            cursor.left = left.wrapping_sub(taken - loaded);
            cursor.start = end;
        }
        cursor.scan = cursor.start;
        if self.dir.skip > 0 {
            return Step::Done;
        }
        if self.dir.state() == State::ChunkData {
            self.dir.expect(State::ChunkSize);
        } else {
            S::message_end(self);
        }
        Step::More
    }

    /// Passes over whole header lines that do not matter, a few dozen words at most: up to one that does, or of
    /// which too little is loaded to tell. Where a line begins is where the cursor is.
    #[inline(always)]
    fn skim(&mut self) {
        let Cursor { mut start, mut scan, end, .. } = self.scratch.cursor;
        let begin = start;
        let mut words = 0;
        while words < SKIM && scan < end {
            words += 1;
            if scan == start {
                let first = self.scratch.window.word(start);
                let empty = first as u8 == b'\r' || first as u8 == b'\n';
                if start.wrapping_add(16) > end
                    || empty
                    || S::matters(first | LOWER, self.scratch.window.word_after(start, 1) | LOWER)
                {
                    break;
                }
            }
            let lf = scan.wrapping_add(lf_in(self.scratch.window.word(scan)));
            if lf.wrapping_sub(scan) == 8 {
                scan = lf;
            } else if lf >= end {
                scan = end;
            } else {
                start = lf.wrapping_add(1);
                scan = start;
            }
        }
        self.dir.bytes += u64::from(start.wrapping_sub(begin));
        let cursor = &mut self.scratch.cursor;
        cursor.start = start;
        cursor.scan = if scan < end { scan } else { end };
    }

    /// Searches for the end of the line under way, and takes the line in when it is there.
    #[inline(always)]
    fn line(&mut self) -> Step {
        let Cursor { start, scan, end, .. } = self.scratch.cursor;
        if scan >= end {
            return self.refill();
        }
        if self.dir.state() == State::Start && scan == start && self.dir.long == 0 {
            let first = self.scratch.window.byte(start);
            if !S::opens(first) && first != b'\r' && first != b'\n' {
                S::refuse(self, Some(start));
                return Step::Done;
            }
        }
        let found = self.scratch.window.find_lf(scan);
        let lf = scan.wrapping_add(found);
        if found >= STRIDE || lf >= end {
            self.scratch.cursor.scan = if lf < end { lf } else { end };
            return Step::More;
        }
        // A line ends with CRLF; a bare LF is recognised too (RFC 9112 §2.2).
        let eol =
            if lf > start && self.scratch.window.byte(lf.wrapping_sub(1)) == b'\r' { lf - 1 } else { lf };
        let next = lf.wrapping_add(1);
        self.scratch.cursor.start = next;
        self.scratch.cursor.scan = next;
        self.take_line(start, eol, next.wrapping_sub(start))
    }

    /// Takes in the line from `start` to `eol`, `len` bytes with its end.
    #[inline(always)]
    fn take_line(&mut self, start: u32, eol: u32, len: u32) -> Step {
        let long = self.dir.long != 0;
        self.dir.long = 0;
        let empty = eol == start && !long;
        if empty && self.dir.state() == State::Start {
            // Its first byte may have come alone, and long before.
            self.dir.start_ns = 0;
            return Step::More;
        }
        self.dir.bytes += u64::from(len);
        match self.dir.state() {
            State::Start => {
                self.begin_message();
                if !((long || S::start_prefix(self, start)) && S::start_end(self, eol)) {
                    S::refuse(self, (!long).then_some(start));
                    return Step::Done;
                }
                self.dir.tentative = 0;
                self.dir.expect(State::Header);
            }
            State::Header if empty => {
                self.dir.head = self.dir.bytes as u32;
                S::head_end(self);
            }
            State::Header if !long && !self.header(start, eol) => {
                self.lose();
                return Step::Done;
            }
            State::Trailer if empty => S::message_end(self),
            State::ChunkSize => {
                if !long && !self.chunk_size(start) {
                    self.lose();
                    return Step::Done;
                }
                // Only the CRLF of an empty chunk: the last one, after which trailers come.
                self.dir.expect(if self.dir.skip == 0 { State::Trailer } else { State::ChunkData });
            }
            _ => {}
        }
        Step::More
    }

    /// Notes when the message under way began.
    #[inline(always)]
    fn begin_message(&mut self) {
        if self.dir.start_ns == 0 {
            self.dir.start_ns = self.host.now_ns();
        }
    }

    /// Loads more of the segment behind the unfinished line, or keeps that line for the next segment.
    #[inline(always)]
    fn refill(&mut self) -> Step {
        let Cursor { mut start, end, offset, left, .. } = self.scratch.cursor;
        if end.wrapping_sub(start) > CARRY as u32 {
            start = match self.shorten(start, end) {
                Some(start) => start,
                None => return Step::Done,
            };
        }
        let keep = end.wrapping_sub(start);
        if keep > 0 && self.dir.state() == State::Start {
            self.begin_message();
        }
        if left == 0 {
            if keep > 0 {
                self.scratch.window.save(start, &mut self.dir.carried);
                self.dir.carried_len = keep as u8;
            }
            return Step::Done;
        }
        if keep > 0 && start > 0 {
            self.scratch.window.move_to_front(start);
        }
        if self.load(keep, Cursor { start: 0, scan: keep, end: keep, offset, left }) {
            Step::More
        } else {
            Step::Done
        }
    }

    /// Loads more of the segment behind `keep` bytes of the window.
    #[inline(always)]
    fn load(&mut self, keep: u32, at: Cursor) -> bool {
        let Cursor { offset, left, .. } = at;
        let n = if left < LOAD { left } else { LOAD };
        if !self.host.load(&mut self.scratch.window, keep, offset, n) {
            self.lose();
            return false;
        }
        let (end, offset) = (keep.wrapping_add(n), offset.wrapping_add(n));
        self.scratch.cursor = Cursor { end, offset, left: left - n, ..at };
        true
    }

    /// Takes in what matters of a line longer than [`CARRY`], so that the rest can be skipped. Where the line
    /// now begins, or nothing when it is not HTTP.
    #[inline(always)]
    fn shorten(&mut self, start: u32, end: u32) -> Option<u32> {
        let first = self.dir.long == 0;
        self.dir.long = 1;
        let mut from = end;
        match self.dir.state() {
            State::Start => {
                self.begin_message();
                if first && !S::start_prefix(self, start) {
                    S::refuse(self, Some(start));
                    return None;
                }
                from = end.wrapping_sub(LONG_KEEP);
            }
            State::ChunkSize if first && !self.chunk_size(start) => {
                self.lose();
                return None;
            }
            State::Header if first && head::is_framing(&self.scratch.window, start) => {
                // As in `header`: no coding or length is that long.
                self.lose();
                return None;
            }
            _ => {}
        }
        self.dir.bytes += u64::from(from.wrapping_sub(start));
        Some(from)
    }
}
