//! Drives the state machine over one segment.

use core::ffi::c_void;
use core::marker::PhantomData;

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop, bpf_skb_load_bytes, bpf_tcp_sock};
use hosp_agent_ebpf::conn::{CLOSED, Conn, Direction, PATH_REST, RESET};
use hosp_agent_ebpf::machine::{
    Admitted, Answers, Host, Kept, Machine, Requests, Scratch, Segment, Side, Step, Tcp, max_steps,
};
use hosp_agent_ebpf::stash::{HELD, HELD_MAX, Held, Stash};
use hosp_agent_ebpf::window::Window;
use hosp_agent_ebpf::{Counter, Leg, Outcome, RecordHead};

use crate::{books, maps};

/// Largest packet: with GSO or GRO, and the headers before the payload.
const MAX_PACKET: u32 = 512 * 1024;

/// What a run works on. Lies on the stack, where `bpf_loop`'s callbacks may look it up; holds pointers and
/// constants of the run only, so that every step looks the same to the verifier.
///
/// Without a `PACKET`, nothing can be loaded: the run works on what was kept, or on the end of the connection.
#[repr(C)]
pub struct Run<const PACKET: bool> {
    /// The packet; null without one.
    skb: *mut __sk_buff,
    /// The connection.
    conn: *mut Conn,
    /// Memory to work in.
    scratch: *mut Scratch,
    /// Now.
    now_ns: u64,
    /// What the connection says of itself.
    tcp: Tcp,
    /// How requests without an answer have ended, as an [`Outcome`].
    outcome: u32,
}

/// How a segment ends its direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not at all.
    Open,
    /// By FIN.
    Fin,
    /// By RST.
    Rst,
}

/// Which of a connection's directions a side works on.
pub trait Way: Side + Sized {
    /// The direction, within `conn`.
    fn dir(conn: *mut Conn) -> *mut Direction;
    /// What precedes a segment.
    fn before<const PACKET: bool>(run: &mut Run<PACKET>);
    /// What follows the steps of a segment.
    fn after<const PACKET: bool>(run: &mut Run<PACKET>);
    /// The direction has ended, with everything before it seen.
    fn ended<const PACKET: bool>(run: &mut Run<PACKET>, reset: bool);
}

impl Way for Requests {
    #[inline(always)]
    fn dir(conn: *mut Conn) -> *mut Direction {
        // SAFETY: every caller has a value of the map.
        unsafe { &raw mut (*conn).request }
    }

    #[inline(always)]
    fn before<const PACKET: bool>(_: &mut Run<PACKET>) {}

    #[inline(always)]
    fn after<const PACKET: bool>(run: &mut Run<PACKET>) {
        // SAFETY: this is the only run on the direction.
        unsafe { run.with(|m: &mut Machine<'_, Self, _>| m.settle()) };
    }

    #[inline(always)]
    fn ended<const PACKET: bool>(_: &mut Run<PACKET>, _: bool) {}
}

impl Way for Answers {
    #[inline(always)]
    fn dir(conn: *mut Conn) -> *mut Direction {
        // SAFETY: every caller has a value of the map.
        unsafe { &raw mut (*conn).response }
    }

    #[inline(always)]
    fn before<const PACKET: bool>(run: &mut Run<PACKET>) {
        // SAFETY: this is the only run on the direction.
        if unsafe { run.with(|m: &mut Machine<'_, Self, _>| m.has_stale()) } {
            drive(run, MAX_PACKET, drop_stale::<PACKET>);
        }
    }

    #[inline(always)]
    fn after<const PACKET: bool>(_: &mut Run<PACKET>) {}

    #[inline(always)]
    fn ended<const PACKET: bool>(run: &mut Run<PACKET>, reset: bool) {
        // SAFETY: this is the only run on the direction.
        unsafe {
            run.with(|m: &mut Machine<'_, Self, _>| m.end(!reset));
            run.outcome = (*run.conn).outcome_at_end(reset) as u32;
        }
        drive(run, MAX_PACKET, flush::<PACKET>);
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
    /// `sk` is the connection's socket, `conn` and `scratch` are values of the maps, and `skb` is the packet if
    /// there is to be one. This run is the only one on its direction and its scratch.
    #[inline(always)]
    pub unsafe fn new(
        skb: *mut __sk_buff,
        sk: *mut bpf_sock,
        conn: *mut Conn,
        scratch: *mut Scratch,
    ) -> Self {
        // SAFETY: the caller vouches for the socket; its fields are read where it is a TCP one.
        unsafe {
            let tcp = bpf_tcp_sock(sk);
            let tcp = if tcp.is_null() {
                Tcp::default()
            } else {
                Tcp { srtt_us: (*tcp).srtt_us >> 3, retransmits: (*tcp).total_retrans }
            };
            Self { skb, conn, scratch, now_ns: bpf_ktime_get_ns(), tcp, outcome: 0 }
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
                scratch: &mut *self.scratch,
                host: &mut host,
                side: PhantomData::<S>,
            };
            work(&mut machine)
        }
    }

    /// Takes in a segment of the packet. False when bytes before it are missing.
    #[inline(always)]
    pub fn take<S: Way>(&mut self, segment: Segment) -> bool {
        S::before(self);
        // SAFETY: this is the only run on the direction.
        match unsafe { self.with(|m: &mut Machine<'_, S, _>| m.admit(segment)) } {
            Admitted::Steps => drive(self, segment.len, step::<S, PACKET>),
            Admitted::Nothing => {}
            Admitted::Hole => return false,
        }
        S::after(self);
        true
    }

    /// Takes in the segments that were kept and whose turn has come.
    #[inline(always)]
    pub fn take_kept<S: Way>(&mut self, stash: *mut Stash) {
        // SAFETY: memory of this run.
        unsafe { (*self.scratch).kept = Kept::default() };
        let mut kept = KeptRun { run: self, stash };
        // SAFETY: the callback takes what is passed here.
        unsafe {
            bpf_loop(
                max_steps(HELD as u32 * HELD_MAX),
                step_kept::<S, PACKET> as *const () as *mut c_void,
                (&raw mut kept).cast(),
                0,
            )
        };
        // SAFETY: memory of this run.
        let Kept { fin, fin_at, .. } = unsafe { (*self.scratch).kept };
        if fin != 0 {
            self.end::<S>(End::Fin, fin_at);
        }
    }

    /// Takes in a segment that was kept.
    #[inline(always)]
    pub fn take_held<S: Way>(&mut self, held: &Held) {
        S::before(self);
        let segment = Segment { seq: held.seq(), offset: 0, len: held.len() };
        let copy = |window: &mut Window, from, to| copy_held(held, window, from, to);
        // SAFETY: this is the only run on the direction.
        if unsafe { self.with(|m: &mut Machine<'_, S, _>| m.admit_held(segment, copy)) } == Admitted::Steps {
            drive(self, HELD_MAX, step::<S, PACKET>);
        }
        S::after(self);
    }

    /// The place in this direction is lost.
    #[inline(always)]
    pub fn lose<S: Way>(&mut self) {
        // SAFETY: this is the only run on the direction.
        unsafe { self.with(|m: &mut Machine<'_, S, _>| m.lose()) };
    }

    /// Takes note of how the segment up to sequence number `at` ends the direction.
    #[inline(always)]
    pub fn end<S: Way>(&mut self, end: End, at: u32) {
        if end == End::Open {
            return;
        }
        let reset = end == End::Rst;
        // SAFETY: this is the only run on the direction.
        unsafe {
            (*S::dir(self.conn)).ended = if reset { RESET } else { CLOSED };
            // Bytes before a FIN may still be missing, those before an RST never come.
            if !reset && !self.with(|m: &mut Machine<'_, S, _>| m.ends_at(at)) {
                return;
            }
        }
        S::ended(self, reset);
    }

    /// The socket is closed: whatever waits will not get an answer.
    #[inline(always)]
    pub fn close(&mut self, unacknowledged: bool) {
        // SAFETY: this is the only run on the direction.
        unsafe {
            if (*self.conn).response.ended == CLOSED {
                self.with(|m: &mut Machine<'_, Answers, _>| m.end(true));
            }
            self.outcome = (*self.conn).outcome_at_close(unacknowledged) as u32;
        }
        drive(self, MAX_PACKET, flush::<PACKET>);
    }
}

/// A piece of work that `bpf_loop` repeats until it returns 1.
type Repeated<const PACKET: bool> = unsafe extern "C" fn(u32, *mut Run<PACKET>) -> i64;

/// Repeats `work` until it is done, at most as often as `len` bytes can need.
#[inline(always)]
fn drive<const PACKET: bool>(run: &mut Run<PACKET>, len: u32, work: Repeated<PACKET>) {
    let most = max_steps(if len < MAX_PACKET { len } else { MAX_PACKET });
    // SAFETY: the callback takes what is passed here.
    unsafe { bpf_loop(most, work as *const () as *mut c_void, (&raw mut *run).cast(), 0) };
}

#[inline(never)]
unsafe extern "C" fn step<S: Way, const PACKET: bool>(_: u32, run: *mut Run<PACKET>) -> i64 {
    // SAFETY: called by `drive` with the run of a caller that is the only one on its direction.
    unsafe { (*run).with(|m: &mut Machine<'_, S, _>| i64::from(m.step() == Step::Done)) }
}

/// A run on the segments that were kept.
#[repr(C)]
struct KeptRun<const PACKET: bool> {
    run: *mut Run<PACKET>,
    stash: *mut Stash,
}

/// Takes up the next segment whose turn has come, or does a step of the one under way. One piece of work does both,
/// so that the verifier looks at the state machine once for all of them.
#[inline(never)]
unsafe extern "C" fn step_kept<S: Way, const PACKET: bool>(_: u32, kept: *mut KeptRun<PACKET>) -> i64 {
    // SAFETY: called by `take_kept`, with a run that is the only one on its direction, and a value of the map.
    unsafe {
        let (run, stash) = (&mut *(*kept).run, &mut *(*kept).stash);
        let at = (*run.scratch).kept.place;
        let done = if at == 0 {
            let dir = S::dir(run.conn);
            let place = stash.ready((*dir).next_seq);
            if (*dir).held == 0 || place >= HELD as u32 {
                return 1;
            }
            (*run.scratch).kept.place = place + 1;
            let Some(held) = stash.get(place) else { return 1 };
            let segment = Segment { seq: held.seq(), offset: 0, len: held.len() };
            let copy = |window: &mut Window, from, to| copy_held(held, window, from, to);
            run.with(|m: &mut Machine<'_, S, _>| m.admit_held(segment, copy)) != Admitted::Steps
        } else {
            run.with(|m: &mut Machine<'_, S, _>| m.step()) == Step::Done
        };
        if done {
            let place = (*run.scratch).kept.place.wrapping_sub(1);
            let Some(held) = stash.get(place) else { return 1 };
            S::after(run);
            if held.fin() {
                (*run.scratch).kept.fin = 1;
                (*run.scratch).kept.fin_at = held.seq().wrapping_add(held.len());
            }
            held.free();
            (*run.scratch).kept.place = 0;
        }
        0
    }
}

#[inline(never)]
unsafe extern "C" fn drop_stale<const PACKET: bool>(_: u32, run: *mut Run<PACKET>) -> i64 {
    // SAFETY: as for `step`.
    unsafe { (*run).with(|m: &mut Machine<'_, Answers, _>| i64::from(!m.drop_stale())) }
}

/// Turns one request that waits into a record of `outcome`.
#[inline(never)]
unsafe extern "C" fn flush<const PACKET: bool>(_: u32, run: *mut Run<PACKET>) -> i64 {
    // SAFETY: as for `step`.
    unsafe {
        let outcome = match Outcome::decode((*run).outcome as u8) {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Aborted,
        };
        (*run).with(|m: &mut Machine<'_, Answers, _>| i64::from(!m.flush(outcome)))
    }
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
pub fn at_desk(work: impl FnOnce(*mut Scratch)) -> bool {
    let desk = maps::take_scratch();
    if desk.is_null() {
        return false;
    }
    // SAFETY: taken above.
    unsafe {
        work(maps::scratch(desk));
        maps::give_back(desk);
    }
    true
}
