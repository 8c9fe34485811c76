//! Drives the state machine over one segment.

use core::ffi::c_void;
use core::marker::PhantomData;

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop, bpf_skb_load_bytes, bpf_tcp_sock};
use hosp_agent_ebpf::conn::{CLOSED, Conn, Direction, PATH_REST, RESET};
use hosp_agent_ebpf::machine::{
    Admitted, Answers, Host, Machine, Requests, Segment, Side, Step, Tcp, max_steps,
};
use hosp_agent_ebpf::stash::{HELD, HELD_MAX, Held};
use hosp_agent_ebpf::window::Window;
use hosp_agent_ebpf::{Counter, Leg, Outcome, RecordHead};

use crate::maps::Desk;
use crate::{books, maps};

/// Largest packet: with GSO or GRO, and the headers before the payload.
const MAX_PACKET: u32 = 512 * 1024;

/// What a run works on. Lies on the stack, where `bpf_loop`'s callbacks may look it up; holds pointers and
/// constants of the run only, so that every piece of work looks the same to the verifier.
///
/// Without a `PACKET`, nothing can be loaded: the run works on what was kept, or on the end of the connection.
#[repr(C)]
pub struct Run<const PACKET: bool> {
    /// The packet; null without one.
    skb: *mut __sk_buff,
    /// The connection's socket; null without a packet.
    sk: *mut bpf_sock,
    /// The connection.
    conn: *mut Conn,
    /// Memory to work in.
    desk: *mut Desk,
    /// Now.
    now_ns: u64,
    /// What the connection says of itself.
    tcp: Tcp,
}

/// What a run does next, and with what. Lies in memory that the verifier knows nothing about.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Turn {
    /// A [`phase`].
    phase: u32,
    /// The phase after [`phase::DROP_STALE`].
    then: u32,
    /// An [`End`]: how the segment under way ends its direction.
    end: u32,
    /// Sequence number at which it does.
    end_at: u32,
    /// How requests without an answer have ended, as an [`Outcome`].
    outcome: u32,
    /// Place in the stash of the kept segments under way, plus one; 0 when none are.
    place: u32,
}

/// What a run can do: one piece of work each. One callback does them all, because the verifier looks at the work anew
/// for each callback and for each way that leads to it (a million instructions are its limit).
mod phase {
    /// Drops a request whose answer cannot be told any more.
    pub(super) const DROP_STALE: u32 = 0;
    /// Does a step of the state machine.
    pub(super) const STEP: u32 = 1;
    /// Takes note of the segment's end.
    pub(super) const END: u32 = 2;
    /// Turns a request that waits into a record without an answer.
    pub(super) const FLUSH: u32 = 3;
    /// Takes up kept segments whose turn has come.
    pub(super) const KEPT: u32 = 4;
}

/// How a segment ends its direction.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not at all.
    Open = 0,
    /// By FIN.
    Fin = 1,
    /// By RST.
    Rst = 2,
}

/// Pieces of work that a run can take: more than the largest packet, the stash and the queue need together.
const MOST: u32 = 1 << 21;
const _: () = assert!(MOST > max_steps(MAX_PACKET) + HELD as u32 * max_steps(HELD_MAX) + 2 * 65_536);

/// Which of a connection's directions a side works on.
pub trait Way: Side + Sized {
    /// Whether this is the direction of answers.
    const ANSWERS: bool;
    /// The direction, within `conn`.
    fn dir(conn: *mut Conn) -> *mut Direction;
}

impl Way for Requests {
    const ANSWERS: bool = false;

    #[inline(always)]
    fn dir(conn: *mut Conn) -> *mut Direction {
        // SAFETY: every caller has a value of the map.
        unsafe { &raw mut (*conn).request }
    }
}

impl Way for Answers {
    const ANSWERS: bool = true;

    #[inline(always)]
    fn dir(conn: *mut Conn) -> *mut Direction {
        // SAFETY: every caller has a value of the map.
        unsafe { &raw mut (*conn).response }
    }
}

/// The kernel, as the state machine needs it.
pub struct Kernel<const PACKET: bool> {
    skb: *mut __sk_buff,
    leg: Leg,
    now_ns: u64,
    tcp: Tcp,
}

impl<const PACKET: bool> Host for Kernel<PACKET> {
    #[inline(always)]
    fn load(&mut self, window: &mut Window, at: u32, offset: u32, len: u32) -> bool {
        if !PACKET {
            return false;
        }
        // Both bounds hold already; said again where the verifier sees it.
        let (at, len) = bounded(at, len);
        // SAFETY: the window has room for `len` bytes from `at`.
        unsafe { bpf_skb_load_bytes(self.skb.cast(), offset, window.as_mut_ptr().add(at).cast(), len) == 0 }
    }

    #[inline(always)]
    fn count(&mut self, counter: Counter) {
        books::count(self.leg, counter);
    }

    #[inline(always)]
    fn emit(&mut self, path_rest: Option<&[u64; PATH_REST]>, fill: impl FnOnce(&mut RecordHead)) -> bool {
        books::emit(path_rest, fill)
    }

    #[inline(always)]
    fn tcp(&self) -> Tcp {
        self.tcp
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
}

/// `at` within the carried line, `len` within a load but not 0, in a form that no optimisation takes away.
#[inline(always)]
fn bounded(at: u32, len: u32) -> (usize, u32) {
    let (mut at, mut len) = (u64::from(at), u64::from(len) - 1);
    // SAFETY: arithmetic on two registers. `at` is at most 192, `len` at most 3,904: the masks change neither.
    unsafe {
        core::arch::asm!("{0} &= 255", "{1} &= 4095", inout(reg) at, inout(reg) len, options(pure, nomem, nostack));
    }
    (at as usize, len as u32 + 1)
}

impl<const PACKET: bool> Run<PACKET> {
    /// A run on `conn`, with `skb` as its packet.
    ///
    /// # Safety
    /// `sk` is the connection's socket, `conn` and `desk` are values of the maps, and `skb` is the packet if there is to
    /// be one. This run is the only one on its direction and its desk.
    #[inline(always)]
    pub unsafe fn new(skb: *mut __sk_buff, sk: *mut bpf_sock, conn: *mut Conn, desk: *mut Desk) -> Self {
        // SAFETY: the caller vouches for the socket; its fields are read where it is a TCP one.
        unsafe {
            let tcp = bpf_tcp_sock(sk);
            let tcp = if tcp.is_null() {
                Tcp::default()
            } else {
                Tcp { srtt_us: (*tcp).srtt_us >> 3, retransmits: (*tcp).total_retrans }
            };
            let sk = if PACKET { sk } else { core::ptr::null_mut() };
            Self { skb, sk, conn, desk, now_ns: bpf_ktime_get_ns(), tcp }
        }
    }

    /// The state machine of one side.
    ///
    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn with<S: Way, T>(&mut self, work: impl FnOnce(&mut Machine<'_, S, Kernel<PACKET>>) -> T) -> T {
        // SAFETY: the caller vouches for the pointers; the two directions are disjoint, and all that both
        // sides touch is atomic or within `Pending`.
        unsafe {
            let conn = self.conn;
            let facts = &(*conn).facts;
            let mut host = Kernel { skb: self.skb, leg: facts.leg(), now_ns: self.now_ns, tcp: self.tcp };
            let mut machine = Machine {
                facts,
                epoch: &(*conn).epoch,
                blind: &(*conn).blind,
                dir: &mut *S::dir(conn),
                pending: &(*conn).pending,
                reads: &(*conn).reads,
                scratch: &mut (*self.desk).scratch,
                host: &mut host,
                side: PhantomData::<S>,
            };
            work(&mut machine)
        }
    }

    /// Takes in a segment, which ends its direction as `end` says. `keep` is asked to keep one that comes before its
    /// turn, and may refuse.
    #[inline(always)]
    pub fn take<S: Way>(&mut self, segment: Segment, end: End, keep: impl FnOnce() -> bool) {
        let end_at = segment.seq.wrapping_add(segment.len);
        // SAFETY: this is the only run on the direction.
        unsafe {
            let stale = self.has_stale::<S>();
            let then = match self.with(|m: &mut Machine<'_, S, _>| m.admit(segment)) {
                Admitted::Steps => phase::STEP,
                Admitted::Nothing => phase::END,
                Admitted::Hole => {
                    if keep() {
                        return;
                    }
                    self.with(|m: &mut Machine<'_, S, _>| m.lose());
                    phase::END
                }
            };
            if then == phase::END && end == End::Open && !stale && (*S::dir(self.conn)).held == 0 {
                // The common case of a large body.
                self.settle::<S>();
                return;
            }
            self.work_off::<S>(stale, then, end, end_at);
        }
    }

    /// Takes in segments that were kept elsewhere.
    #[inline(always)]
    pub fn take_held<S: Way>(&mut self, held: &Held) {
        let end = if held.fin() { End::Fin } else { End::Open };
        // SAFETY: this is the only run on the direction.
        unsafe {
            let stale = self.has_stale::<S>();
            let then = self.admit_held::<S>(held);
            self.work_off::<S>(stale, then, end, held.seq().wrapping_add(held.len()));
        }
    }

    /// The socket is closed: whatever waits will not get an answer.
    #[inline(always)]
    pub fn close(&mut self, unacknowledged: bool) {
        // SAFETY: this is the only run on the direction.
        unsafe {
            if (*self.conn).response.ended == CLOSED {
                self.with(|m: &mut Machine<'_, Answers, _>| m.end(true));
            }
            let outcome = (*self.conn).outcome_at_close(unacknowledged) as u32;
            (*self.desk).turn =
                Turn { phase: phase::FLUSH, then: 0, end: End::Open as u32, end_at: 0, outcome, place: 0 };
        }
        self.repeat::<Answers>();
    }

    /// Does what is left to do from phase `then` on.
    ///
    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn work_off<S: Way>(&mut self, stale: bool, then: u32, end: End, end_at: u32) {
        let phase = if stale { phase::DROP_STALE } else { then };
        // SAFETY: memory of this run.
        unsafe { (*self.desk).turn = Turn { phase, then, end: end as u32, end_at, outcome: 0, place: 0 } };
        self.repeat::<S>();
    }

    #[inline(always)]
    fn repeat<S: Way>(&mut self) {
        let work = work::<S, PACKET> as *const () as *mut c_void;
        // SAFETY: the callback takes what is passed here. The assembly does nothing, differently for each side: so that
        // LLVM leaves their calls apart, because the kernel only puts the loop in place of a call with one callback.
        unsafe {
            bpf_loop(MOST, work, (&raw mut *self).cast(), 0);
            if S::ANSWERS {
                core::arch::asm!("r0 = 0", out("r0") _, options(nostack));
            } else {
                core::arch::asm!("r0 = 1", out("r0") _, options(nostack));
            }
        }
    }

    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn has_stale<S: Way>(&mut self) -> bool {
        // SAFETY: the caller vouches for it.
        S::ANSWERS && unsafe { self.with(|m: &mut Machine<'_, Answers, _>| m.has_stale()) }
    }

    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn settle<S: Way>(&mut self) {
        if !S::ANSWERS {
            // SAFETY: the caller vouches for it.
            unsafe { self.with(|m: &mut Machine<'_, Requests, _>| m.settle()) };
        }
    }

    /// Begins to take in kept segments: the phase that follows.
    ///
    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn admit_held<S: Way>(&mut self, held: &Held) -> u32 {
        let segment = Segment { seq: held.seq(), offset: 0, len: held.len() };
        let copy = |window: &mut Window, from, to| copy_held(held, window, from, to);
        // SAFETY: the caller vouches for it.
        match unsafe { self.with(|m: &mut Machine<'_, S, _>| m.admit_held(segment, copy)) } {
            Admitted::Steps => phase::STEP,
            Admitted::Nothing | Admitted::Hole => phase::END,
        }
    }

    /// Takes note of how the segment under way ends its direction: whether that ends requests, too.
    ///
    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn end<S: Way>(&mut self) -> bool {
        // SAFETY: the caller vouches for it.
        unsafe {
            let Turn { end, end_at, .. } = (*self.desk).turn;
            if end == End::Open as u32 {
                return false;
            }
            (*self.desk).turn.end = End::Open as u32;
            let reset = end == End::Rst as u32;
            (*S::dir(self.conn)).ended = if reset { RESET } else { CLOSED };
            // Bytes before a FIN may still be missing, those before an RST never come.
            let complete = reset || self.with(|m: &mut Machine<'_, S, _>| m.ends_at(end_at));
            if !S::ANSWERS || !complete {
                return false;
            }
            self.with(|m: &mut Machine<'_, Answers, _>| m.end(!reset));
            (*self.desk).turn.outcome = (*self.conn).outcome_at_end(reset) as u32;
            true
        }
    }

    /// Frees the kept segments that are done with, and takes up those whose turn has come: the phase that follows,
    /// or nothing when there are none.
    ///
    /// # Safety
    /// As for [`Run::new`].
    #[inline(always)]
    unsafe fn take_up<S: Way>(&mut self) -> Option<u32> {
        // SAFETY: the caller vouches for it.
        unsafe {
            let dir = S::dir(self.conn);
            if !PACKET || (*dir).held == 0 {
                return None;
            }
            let stash = maps::stash(self.sk, false);
            if stash.is_null() {
                return None;
            }
            let turn = &raw mut (*self.desk).turn;
            if let Some(done) = (*stash).get((*turn).place.wrapping_sub(1)) {
                done.free();
            }
            let place = (*stash).ready((*dir).next_seq);
            (*turn).place = place.wrapping_add(1);
            let held = (*stash).get(place)?;
            (*turn).end = if held.fin() { End::Fin } else { End::Open } as u32;
            (*turn).end_at = held.seq().wrapping_add(held.len());
            Some(self.admit_held::<S>(held))
        }
    }
}

/// Does one piece of work. 1 when that was the last one.
#[inline(never)]
unsafe extern "C" fn work<S: Way, const PACKET: bool>(_: u32, run: *mut Run<PACKET>) -> i64 {
    // SAFETY: called by `repeat` with the run of a caller that is the only one on its direction.
    unsafe {
        let run = &mut *run;
        let turn = &raw mut (*run.desk).turn;
        match (*turn).phase {
            phase::DROP_STALE => {
                if !S::ANSWERS || !run.with(|m: &mut Machine<'_, Answers, _>| m.drop_stale()) {
                    (*turn).phase = (*turn).then;
                }
            }
            phase::STEP => {
                if run.with(|m: &mut Machine<'_, S, _>| m.step()) == Step::Done {
                    (*turn).phase = phase::END;
                }
            }
            phase::END => {
                run.settle::<S>();
                (*turn).phase = if run.end::<S>() { phase::FLUSH } else { phase::KEPT };
                if (*turn).phase == phase::KEPT && (*S::dir(run.conn)).held == 0 {
                    return 1;
                }
            }
            phase::FLUSH => {
                let outcome = match Outcome::decode((*turn).outcome as u8) {
                    Ok(outcome) => outcome,
                    Err(_) => Outcome::Aborted,
                };
                if !S::ANSWERS || !run.with(|m: &mut Machine<'_, Answers, _>| m.flush(outcome)) {
                    (*turn).phase = phase::KEPT;
                }
            }
            _ => match run.take_up::<S>() {
                Some(phase) => (*turn).phase = phase,
                None => return 1,
            },
        }
    }
    0
}

/// A copy under way, from a segment that was kept to the window.
#[repr(C)]
struct Copy {
    held: *const Held,
    window: *mut Window,
    from: u32,
    to: u32,
}

/// Copies what follows the first `from` bytes of `held` into `window`, to where `to` says.
#[inline(always)]
fn copy_held(held: &Held, window: &mut Window, from: u32, to: u32) {
    let mut copy = Copy { held, window, from, to };
    // SAFETY: the callback takes what is passed here.
    unsafe { bpf_loop(HELD_MAX / 8, copy_word as *const () as *mut c_void, (&raw mut copy).cast(), 0) };
}

#[inline(never)]
unsafe extern "C" fn copy_word(n: u32, copy: *mut Copy) -> i64 {
    // SAFETY: called by `copy_held`, with values of the maps.
    unsafe {
        let Copy { held, window, from, to } = *copy;
        (*held).copy_word(n, from, &mut *window, to);
    }
    0
}

/// Runs `work` with memory to work in. False when more runs than expected are under way on this CPU.
#[inline(always)]
pub fn at_desk(work: impl FnOnce(*mut Desk)) -> bool {
    let desk = maps::take_desk();
    if desk.is_null() {
        return false;
    }
    work(desk);
    // SAFETY: taken above.
    unsafe { maps::give_back(desk) };
    true
}
