//! A connection as the kernel's programs see it, driven natively: segments in, records out.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use hosp_agent_ebpf::conn::{CLOSED, Conn, Direction, PATH_REST, RESET};
use hosp_agent_ebpf::machine::{
    Admitted, Answers, Host, Machine, Requests, Scratch, Segment, Side, Step, Tcp, max_steps,
};
use hosp_agent_ebpf::stash::{Early, HELD, HELD_MAX, Held, Room, SEGMENT_MAX, Stash};
use hosp_agent_ebpf::window::{CARRY, LOAD, Window};
use hosp_agent_ebpf::{COUNTERS, Counter, Leg, Outcome, Record, RecordHead, SHORT};

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Request,
    Answer,
}

/// A connection and what came of it.
pub(crate) struct Wire {
    conn: Box<Conn>,
    scratch: Box<Scratch>,
    pub(crate) host: Log,
    stash: [Box<Stash>; 2],
    next: [u32; 2],
}

/// Where the machine runs in tests.
pub(crate) struct Log {
    packet: Vec<u8>,
    pub(crate) records: Vec<Record>,
    pub(crate) counts: [u64; COUNTERS as usize],
    pub(crate) now_ns: u64,
    pub(crate) ring_full: bool,
}

impl Host for Log {
    fn load(&mut self, window: &mut Window, at: u32, offset: u32, len: u32) -> bool {
        assert!(at <= CARRY as u32 && (1..=LOAD).contains(&len), "what the kernel's helper would refuse");
        let bytes = &self.packet[offset as usize..(offset + len) as usize];
        // SAFETY: the window has room for LOAD bytes behind CARRY.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), window.as_mut_ptr().add(at as usize), bytes.len())
        };
        true
    }
    fn count(&mut self, counter: Counter) {
        self.counts[counter as usize] += 1;
    }
    fn emit(&mut self, path_rest: Option<&[u64; PATH_REST]>, fill: impl FnOnce(&mut RecordHead)) -> bool {
        if self.ring_full {
            return false;
        }
        // SAFETY: integers only.
        let mut head: RecordHead = unsafe { MaybeUninit::zeroed().assume_init() };
        fill(&mut head);
        // What userspace reads is bytes: they must decode.
        // SAFETY: any head is as many bytes.
        let mut bytes = unsafe { std::slice::from_raw_parts((&raw const head).cast::<u8>(), SHORT) }.to_vec();
        bytes.extend(path_rest.iter().copied().flatten().flat_map(|word| word.to_ne_bytes()));
        self.records.push(Record::decode(&bytes).unwrap());
        true
    }
    fn tcp(&self) -> Tcp {
        Tcp { srtt_us: 7, retransmits: 0 }
    }
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
}

impl Wire {
    /// A connection of the server leg, established with these initial sequence numbers.
    pub(crate) fn new(request_seq: u32, answer_seq: u32) -> Self {
        let mut wire = Self::unknown();
        wire.conn.request.open(request_seq);
        wire.conn.response.open(answer_seq);
        wire.next = [request_seq, answer_seq];
        wire
    }

    /// A connection that is older than the observer.
    pub(crate) fn unknown() -> Self {
        // SAFETY: all zeros is a valid value, as the kernel makes it.
        let mut conn: Box<Conn> = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        conn.facts.leg = Leg::Server as u8;
        let host = Log {
            packet: vec![],
            records: vec![],
            counts: [0; COUNTERS as usize],
            now_ns: 1_000_000,
            ring_full: false,
        };
        Self { conn, scratch: Box::default(), host, stash: [no_stash(), no_stash()], next: [0, 0] }
    }

    /// The next bytes of one direction, in one segment.
    pub(crate) fn send(&mut self, way: Way, bytes: &[u8]) {
        let seq = self.next[way as usize];
        self.next[way as usize] = seq.wrapping_add(u32::try_from(bytes.len()).unwrap());
        self.segment(way, seq, bytes);
    }

    /// Bytes of one direction that never reach this host.
    pub(crate) fn miss(&mut self, way: Way, len: u32) {
        self.next[way as usize] = self.next[way as usize].wrapping_add(len);
    }

    /// Sequence number of the next byte to send.
    pub(crate) fn next_seq(&self, way: Way) -> u32 {
        self.next[way as usize]
    }

    /// Any segment, new or old.
    pub(crate) fn segment(&mut self, way: Way, seq: u32, bytes: &[u8]) {
        self.any(way, seq, bytes, false, false);
    }

    /// Any segment of a direction that comes in, where TCP may not have put it in order yet.
    pub(crate) fn arrive(&mut self, way: Way, seq: u32, bytes: &[u8], fin: bool) {
        self.any(way, seq, bytes, fin, true);
    }

    fn any(&mut self, way: Way, seq: u32, bytes: &[u8], fin: bool, keeps: bool) {
        self.host.now_ns += 1_000;
        if self.conn.is_blind() {
            return;
        }
        self.host.packet = bytes.to_vec();
        let segment = Segment { seq, offset: 0, len: u32::try_from(bytes.len()).unwrap() };
        match way {
            Way::Request => self.take::<Requests>(segment, fin, keeps),
            Way::Answer => self.take::<Answers>(segment, fin, keeps),
        }
    }

    /// The end of one direction, with everything before it seen.
    pub(crate) fn end(&mut self, way: Way, reset: bool) {
        self.host.now_ns += 1_000;
        let ended = if reset { RESET } else { CLOSED };
        match way {
            Way::Request => self.conn.request.ended = ended,
            Way::Answer => {
                self.conn.response.ended = ended;
                self.ended::<Answers>(reset);
            }
        }
    }

    /// The socket is closed; `unacknowledged` when it was sending something again by then.
    pub(crate) fn close(&mut self, unacknowledged: bool) {
        if self.conn.response.ended == CLOSED {
            self.machine::<Answers, _>(|m| m.end(true));
        }
        let outcome = self.conn.outcome_at_close(unacknowledged);
        self.flush(outcome);
    }

    /// The server reads from its socket.
    pub(crate) fn read(&mut self) {
        self.host.now_ns += 1_000;
        self.conn.reads.note(&self.conn.pending, || self.host.now_ns);
    }

    pub(crate) fn is_blind(&self) -> bool {
        self.conn.is_blind()
    }

    /// One of the kernel's counters.
    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.host.counts[counter as usize]
    }

    /// Whether every request seen is recorded, lost or still open.
    pub(crate) fn balanced(&self) -> bool {
        let ended: u64 = Counter::ENDED.iter().map(|&c| self.count(c)).sum();
        let recorded = ended - self.count(Counter::LostRing);
        let lost: u64 = Counter::LOST.iter().map(|&(c, _)| self.count(c)).sum();
        self.count(Counter::Seen) == recorded + lost + u64::from(self.kept())
    }

    /// Requests that wait and have a place in the queue.
    fn kept(&self) -> u32 {
        let pending = &self.conn.pending;
        let waiting = pending.answered() + 1..=pending.requested();
        waiting.filter(|&n| pending.is_kept(n)).count() as u32
    }

    fn flush(&mut self, outcome: Outcome) {
        while self.machine::<Answers, _>(|m| m.flush(outcome)) {}
    }

    fn steps<S: Sided>(&mut self, len: u32) {
        let most = max_steps(len);
        let steps = (0..most).take_while(|_| self.machine::<S, _>(|m| m.step()) == Step::More).count();
        assert!(steps < most as usize, "more steps than promised for {len} bytes");
    }

    fn before<S: Sided>(&mut self) {
        if S::WAY == Way::Answer {
            while self.machine::<Answers, _>(|m| m.drop_stale()) {}
        }
    }

    fn after<S: Sided>(&mut self) {
        if S::WAY == Way::Request {
            self.machine::<Requests, _>(|m| m.settle());
        }
    }

    /// What the kernel's program does with a segment, `keeps` standing for the direction that comes in.
    fn take<S: Sided>(&mut self, segment: Segment, fin: bool, keeps: bool) {
        self.before::<S>();
        match self.machine::<S, _>(|m| m.admit(segment)) {
            Admitted::Steps => self.steps::<S>(segment.len),
            Admitted::Nothing => {}
            Admitted::Hole => {
                if keeps && self.keep::<S>(segment, fin) {
                    return;
                }
                self.machine::<S, _>(|m| m.lose());
            }
        }
        self.after::<S>();
        self.fin::<S>(fin, segment.seq.wrapping_add(segment.len));
        for _ in 0..HELD {
            if !keeps || self.dir::<S>().held == 0 {
                return;
            }
            let next_seq = self.dir::<S>().next_seq;
            let mut stash = std::mem::replace(&mut self.stash[S::WAY as usize], no_stash());
            if let Some(held) = stash.get(stash.ready(next_seq)) {
                let (seq, len, fin) = (held.seq(), held.len(), held.fin());
                self.take_held::<S>(held);
                held.free();
                self.fin::<S>(fin, seq.wrapping_add(len));
            }
            self.stash[S::WAY as usize] = stash;
        }
    }

    fn take_held<S: Sided>(&mut self, held: &Held) {
        self.before::<S>();
        let segment = Segment { seq: held.seq(), offset: 0, len: held.len() };
        let copy = |window: &mut Window, from, to| {
            for n in 0..HELD_MAX / 8 {
                held.copy_word(n, from, window, to);
            }
        };
        if self.machine::<S, _>(|m| m.admit_held(segment, copy)) == Admitted::Steps {
            self.steps::<S>(HELD_MAX);
        }
        self.after::<S>();
    }

    fn keep<S: Sided>(&mut self, segment: Segment, fin: bool) -> bool {
        let stash = &mut self.stash[S::WAY as usize];
        let dir = if S::WAY == Way::Request { &mut self.conn.request } else { &mut self.conn.response };
        if dir.held == 0 {
            stash.clear();
        }
        let early = Early { seq: segment.seq, len: segment.len, fin };
        let (place, at) = match stash.room(early) {
            Room::Known => return true,
            Room::At(place, at) => (place, at),
            Room::None => return false,
        };
        dir.held = 1;
        stash.get(place).unwrap().put(at, early, |to, len| {
            assert!((1..=SEGMENT_MAX).contains(&len), "what the kernel's helper would refuse");
            // SAFETY: a place has room for SEGMENT_MAX bytes.
            unsafe { std::ptr::copy_nonoverlapping(self.host.packet.as_ptr(), to, len as usize) };
            true
        })
    }

    fn fin<S: Sided>(&mut self, fin: bool, at: u32) {
        if fin {
            self.dir::<S>().ended = CLOSED;
            if self.machine::<S, _>(|m| m.ends_at(at)) {
                self.ended::<S>(false);
            }
        }
    }

    fn ended<S: Sided>(&mut self, reset: bool) {
        if S::WAY == Way::Answer {
            self.machine::<Answers, _>(|m| m.end(!reset));
            let outcome = self.conn.outcome_at_end(reset);
            self.flush(outcome);
        }
    }

    fn dir<S: Sided>(&mut self) -> &mut Direction {
        if S::WAY == Way::Request { &mut self.conn.request } else { &mut self.conn.response }
    }

    fn machine<S: Sided, T>(&mut self, work: impl FnOnce(&mut Machine<'_, S, Log>) -> T) -> T {
        let conn = &mut *self.conn;
        work(&mut Machine {
            facts: &conn.facts,
            epoch: &conn.epoch,
            blind: &conn.blind,
            dir: if S::WAY == Way::Request { &mut conn.request } else { &mut conn.response },
            pending: &conn.pending,
            reads: &conn.reads,
            scratch: &mut self.scratch,
            host: &mut self.host,
            side: PhantomData,
        })
    }
}

fn no_stash() -> Box<Stash> {
    // SAFETY: all zeros is a valid value, as the kernel makes it.
    unsafe { Box::new(MaybeUninit::zeroed().assume_init()) }
}

trait Sided: Side {
    const WAY: Way;
}
impl Sided for Requests {
    const WAY: Way = Way::Request;
}
impl Sided for Answers {
    const WAY: Way = Way::Answer;
}
