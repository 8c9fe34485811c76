//! Drives the state machine over one packet.

use core::ffi::c_void;
use core::marker::PhantomData;

use aya_ebpf::bindings::{__sk_buff, BPF_TCP_LISTEN, bpf_sock};
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_loop, bpf_sk_fullsock, bpf_skb_load_bytes, bpf_tcp_sock,
};
use aya_ebpf::programs::SkBuffContext;
use hosp_agent_ebpf::conn::{CLOSED, Conn, Direction, End, PATH_REST, RESET};
use hosp_agent_ebpf::machine::{
    Answers, Host, Machine, Requests, Scratch, Side, Step, Tcp, is_request, max_steps,
};
use hosp_agent_ebpf::window::Window;
use hosp_agent_ebpf::{Counter, Leg, Outcome, RecordHead};

use crate::packet::{self, Packet};
use crate::{books, maps, socket};

/// Largest packet: with GSO or GRO, and the headers before the payload.
const MAX_PACKET: u32 = 512 * 1024;

/// What a run works on. Lies on the stack, where `bpf_loop`'s callbacks may look it up; holds pointers and
/// constants of the run only, so that every step looks the same to the verifier.
#[repr(C)]
pub struct Run {
    /// The packet; null when the connection has ended without one.
    pub skb: *mut __sk_buff,
    /// The connection.
    pub conn: *mut Conn,
    /// Memory to work in.
    pub scratch: *mut Scratch,
    /// Now.
    pub now_ns: u64,
    /// What the connection says of itself.
    pub tcp: Tcp,
    /// How requests without an answer have ended, as an [`Outcome`].
    pub outcome: u32,
}

/// Which of a connection's directions a side works on.
pub trait Way: Side {
    /// The direction, within `conn`.
    fn dir(conn: *mut Conn) -> *mut Direction;
}

impl Way for Requests {
    #[inline(always)]
    fn dir(conn: *mut Conn) -> *mut Direction {
        // SAFETY: every caller has a value of the map.
        unsafe { &raw mut (*conn).request }
    }
}

impl Way for Answers {
    #[inline(always)]
    fn dir(conn: *mut Conn) -> *mut Direction {
        // SAFETY: every caller has a value of the map.
        unsafe { &raw mut (*conn).response }
    }
}

/// The kernel, as the state machine needs it.
pub struct Kernel {
    skb: *mut __sk_buff,
    leg: Leg,
    now_ns: u64,
    tcp: Tcp,
}

impl Host for Kernel {
    #[inline(always)]
    fn load(&mut self, window: &mut Window, at: u32, offset: u32, len: u32) -> bool {
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

impl Run {
    /// The state machine of one side.
    ///
    /// # Safety
    /// `conn` and `scratch` are values of the maps; this run is the only one on its direction and its scratch.
    #[inline(always)]
    pub unsafe fn with<S: Way, T>(&mut self, work: impl FnOnce(&mut Machine<'_, S, Kernel>) -> T) -> T {
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
}

/// Looks at one packet.
#[inline(always)]
pub fn observe<const INGRESS: bool>(ctx: &SkBuffContext) {
    let skb = ctx.skb.skb;
    // SAFETY: a field of the context.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return;
    }
    // SAFETY: a socket from the context, not null.
    let sk = unsafe { bpf_sk_fullsock(sk) };
    // SAFETY: checked for null before it is looked at.
    if sk.is_null() || unsafe { !socket::is_tcp(sk) || (*sk).state == BPF_TCP_LISTEN } {
        return;
    }
    // SAFETY: a full socket.
    let conn = unsafe { maps::conn(sk) };
    // SAFETY: a value of the map where it is not null; single bytes, each with one writer.
    if !conn.is_null() && unsafe { (*conn).is_blind() } {
        return;
    }
    // SAFETY: the context of a packet of a TCP socket.
    let Some(packet) = (unsafe { packet::parse(skb) }) else { return };
    if !packet.matters() {
        return;
    }
    let conn = if conn.is_null() { meet::<INGRESS>(skb, sk, &packet) } else { conn };
    if conn.is_null() {
        return;
    }
    // SAFETY: a value of the map.
    let leg = unsafe { (*conn).facts.leg() };
    // What a socket sends is in order and under its lock; what it receives may, rarely, be looked at on two CPUs
    // at once: the second waits for the first.
    // SAFETY: a value of the map.
    let end = unsafe { (*conn).pending.ingress(leg) };
    if INGRESS && !lock(end) {
        books::count(leg, Counter::Resyncs);
        // SAFETY: an atomic of a value of the map.
        unsafe { (*conn).epoch.add(1) };
        return;
    }
    work::<INGRESS>(skb, sk, conn, leg, &packet);
    if INGRESS {
        end.unlock();
    }
}

/// How often a run looks whether another one has finished: some hundred times as long as a run takes.
const PATIENCE: u32 = 1 << 14;

/// A run that waits for another one.
#[repr(C)]
struct Wait {
    end: *const End,
    locked: u64,
}

/// Takes the lock of what comes in. False when the one who has it does not give it back in time.
#[inline(always)]
fn lock(end: &End) -> bool {
    if end.try_lock() {
        return true;
    }
    let mut wait = Wait { end, locked: 0 };
    // SAFETY: the callback takes what is passed here.
    unsafe { bpf_loop(PATIENCE, try_lock as *const () as *mut c_void, (&raw mut wait).cast(), 0) };
    // SAFETY: on our stack; volatile, because the callback writes it.
    unsafe { (&raw const wait.locked).read_volatile() != 0 }
}

#[inline(never)]
unsafe extern "C" fn try_lock(_: u32, wait: *mut Wait) -> i64 {
    // SAFETY: called by `lock`, with a part of a value of the map.
    unsafe {
        if !(*(*wait).end).try_lock() {
            return 0;
        }
        (*wait).locked = 1;
    }
    1
}

/// A socket that was connected before the observer came: known from its next request on.
#[inline(always)]
fn meet<const INGRESS: bool>(skb: *mut __sk_buff, sk: *mut bpf_sock, packet: &Packet) -> *mut Conn {
    let none = core::ptr::null_mut();
    if packet.segment.len < 8 {
        return none;
    }
    let mut first = 0u64;
    // SAFETY: the helper writes eight bytes to where eight bytes are.
    let failed =
        unsafe { bpf_skb_load_bytes(skb.cast(), packet.segment.offset, (&raw mut first).cast(), 8) } != 0;
    if failed || !is_request(first) {
        return none;
    }
    let leg = if INGRESS { Leg::Server } else { Leg::Client };
    // SAFETY: a full socket.
    let conn = unsafe { maps::conn_or_new(sk) };
    if conn.is_null() {
        books::count(leg, Counter::NoStorage);
        return none;
    }
    // SAFETY: new, so that nobody else looks at it: its answer comes after this request has passed.
    unsafe {
        socket::introduce(conn, sk, leg);
        (*conn).facts.mid_stream = 1;
    }
    conn
}

/// Takes in one packet of a known connection.
#[inline(always)]
fn work<const INGRESS: bool>(
    skb: *mut __sk_buff,
    sk: *mut bpf_sock,
    conn: *mut Conn,
    leg: Leg,
    packet: &Packet,
) {
    let desk = maps::take_scratch();
    if desk.is_null() {
        books::count(leg, Counter::Resyncs);
        // SAFETY: an atomic of a value of the map.
        unsafe { (*conn).epoch.add(1) };
        return;
    }
    // SAFETY: taken above; a full TCP socket, and its fields.
    let mut run = unsafe {
        let tcp = bpf_tcp_sock(sk);
        let tcp = if tcp.is_null() {
            Tcp::default()
        } else {
            Tcp { srtt_us: (*tcp).srtt_us >> 3, retransmits: (*tcp).total_retrans }
        };
        Run { skb, conn, scratch: maps::scratch(desk), now_ns: bpf_ktime_get_ns(), tcp, outcome: 0 }
    };
    if (leg == Leg::Server) == INGRESS {
        requests(&mut run, packet);
    } else {
        answers(&mut run, packet);
    }
    // SAFETY: taken above.
    unsafe { maps::give_back(desk) };
}

#[inline(always)]
fn requests(run: &mut Run, packet: &Packet) {
    // SAFETY: this is the only run on this direction: see `observe`.
    unsafe {
        if run.with(|m: &mut Machine<'_, Requests, _>| m.admit(packet.segment)) {
            drive(run, packet.segment.len, step::<Requests>);
            run.with(|m: &mut Machine<'_, Requests, _>| m.settle());
        }
        if packet.rst() {
            (*run.conn).request.ended = RESET;
        } else if packet.fin() {
            (*run.conn).request.ended = CLOSED;
        }
    }
}

#[inline(always)]
fn answers(run: &mut Run, packet: &Packet) {
    // SAFETY: this is the only run on this direction: see `observe`.
    unsafe {
        if run.with(|m: &mut Machine<'_, Answers, _>| m.has_stale()) {
            drive(run, MAX_PACKET, drop_stale);
        }
        if run.with(|m: &mut Machine<'_, Answers, _>| m.admit(packet.segment)) {
            drive(run, packet.segment.len, step::<Answers>);
        }
        if packet.fin() || packet.rst() {
            run.with(|m: &mut Machine<'_, Answers, _>| m.end(!packet.rst()));
            run.outcome = (*run.conn).outcome_at_end(packet.rst()) as u32;
            drive(run, MAX_PACKET, flush);
        }
    }
}

/// A piece of work that `bpf_loop` repeats until it returns 1.
type Repeated = unsafe extern "C" fn(u32, *mut Run) -> i64;

/// Repeats `work` until it is done, at most as often as `len` bytes can need.
#[inline(always)]
pub fn drive(run: &mut Run, len: u32, work: Repeated) {
    let most = max_steps(if len < MAX_PACKET { len } else { MAX_PACKET });
    // SAFETY: the callback takes what is passed here.
    unsafe { bpf_loop(most, work as *const () as *mut c_void, (&raw mut *run).cast(), 0) };
}

#[inline(never)]
unsafe extern "C" fn step<S: Way>(_: u32, run: *mut Run) -> i64 {
    // SAFETY: called by `drive` with the run of a caller that is the only one on its direction.
    unsafe { (*run).with(|m: &mut Machine<'_, S, _>| i64::from(m.step() == Step::Done)) }
}

#[inline(never)]
unsafe extern "C" fn drop_stale(_: u32, run: *mut Run) -> i64 {
    // SAFETY: as for `step`.
    unsafe { (*run).with(|m: &mut Machine<'_, Answers, _>| i64::from(!m.drop_stale())) }
}

/// Turns one request that waits into a record of `outcome`.
#[inline(never)]
pub unsafe extern "C" fn flush(_: u32, run: *mut Run) -> i64 {
    // SAFETY: as for `step`.
    unsafe {
        let outcome = match Outcome::decode((*run).outcome as u8) {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Aborted,
        };
        (*run).with(|m: &mut Machine<'_, Answers, _>| i64::from(!m.flush(outcome)))
    }
}
