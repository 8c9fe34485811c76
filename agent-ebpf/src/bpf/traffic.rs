//! Looks at one packet: whose it is, whether it matters, and in whose turn.

use core::ffi::c_void;

use aya_ebpf::bindings::{__sk_buff, BPF_TCP_LISTEN, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_loop, bpf_sk_fullsock, bpf_skb_cgroup_id, bpf_skb_load_bytes};
use aya_ebpf::programs::SkBuffContext;
use aya_log_ebpf::debug;
use hosp_agent_ebpf::conn::{Conn, End as QueueEnd};
use hosp_agent_ebpf::machine::{Answers, Requests, is_request};
use hosp_agent_ebpf::stash::{Early, Room, SEGMENT_MAX};
use hosp_agent_ebpf::{Counter, Leg};

use crate::packet::{self, Packet};
use crate::run::{End, Run, Way, at_desk};
use crate::{books, maps, socket};

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
    if sk.is_null() || unsafe { !socket::is_tcp(sk) } {
        return;
    }
    // SAFETY: a full socket.
    if unsafe { (*sk).state } == BPF_TCP_LISTEN {
        if INGRESS {
            keep_early(skb);
        }
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
    let conn = if conn.is_null() { meet::<INGRESS>(ctx, sk, &packet) } else { conn };
    if conn.is_null() {
        return;
    }
    // SAFETY: a value of the map.
    let leg = unsafe { (*conn).facts.leg() };
    // SAFETY: a value of the map.
    let end = unsafe { (*conn).pending.ingress(leg) };
    // What a socket sends is in order and under its lock; what it receives may, rarely, be looked at on two CPUs
    // at once: the second waits for the first.
    let turn = !INGRESS || lock(end);
    if !turn
        || !at_desk(|desk| {
            // SAFETY: all of them belong together, and the direction is this run's.
            let mut run = unsafe { Run::<true>::new(skb, sk, conn, desk) };
            let (segment, end) = (packet.segment, packet.ends());
            if (leg == Leg::Server) == INGRESS {
                run.take::<Requests>(segment, end, || {
                    INGRESS && keep::<Requests>(skb, sk, conn, &packet) || missing(ctx, &packet)
                });
            } else {
                know_cgroup(skb, conn, leg);
                run.take::<Answers>(segment, end, || {
                    INGRESS && keep::<Answers>(skb, sk, conn, &packet) || missing(ctx, &packet)
                });
            }
        })
    {
        debug!(ctx, "a packet of {} bytes was not looked at: no turn, or no room", packet.segment.len);
        books::count(leg, Counter::Resyncs);
        // SAFETY: atomics of a value of the map.
        unsafe {
            if (*conn).pending.waiting() > 0 {
                (*conn).blind.lost.set();
            }
            (*conn).epoch.add(1);
        }
    }
    if INGRESS && turn {
        end.unlock();
    }
}

/// Says that the place is lost: it cannot be kept either. Always false.
#[inline(always)]
fn missing(ctx: &SkBuffContext, packet: &Packet) -> bool {
    let seq = packet.segment.seq;
    debug!(ctx, "bytes from port {} before sequence number {} are missing", packet.source, seq);
    false
}

/// Keeps a segment until what is missing before it has come. False when there is no room.
#[inline(always)]
fn keep<S: Way>(skb: *mut __sk_buff, sk: *mut bpf_sock, conn: *mut Conn, packet: &Packet) -> bool {
    if packet.ends() == End::Rst {
        return false;
    }
    // SAFETY: a full socket.
    let stash = unsafe { maps::stash(sk, true) };
    if stash.is_null() {
        return false;
    }
    // SAFETY: values of the maps, on which this is the only run.
    unsafe {
        let dir = S::dir(conn);
        if (*dir).held == 0 {
            (*stash).clear();
        }
        let early = packet.early();
        let (place, at) = match (*stash).room(early) {
            Room::Known => return true,
            Room::At(place, at) => (place, at),
            Room::None => return false,
        };
        let Some(held) = (*stash).get(place) else { return false };
        let kept = held.put(at, early, |to, len| copy_out(skb, packet.segment.offset, to, len));
        if kept {
            (*dir).held = 1;
        }
        kept
    }
}

/// Copies `len` bytes, 1 to [`SEGMENT_MAX`], from `offset` of the packet.
#[inline(always)]
fn copy_out(skb: *mut __sk_buff, offset: u32, to: *mut u8, len: u32) -> bool {
    let mut len = u64::from(len) - 1;
    // SAFETY: arithmetic on a register: the bound holds already, and is said again where the verifier sees it.
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) len, const SEGMENT_MAX - 1, options(pure, nomem, nostack));
    }
    // SAFETY: the caller has room for SEGMENT_MAX bytes.
    unsafe { bpf_skb_load_bytes(skb.cast(), offset, to.cast(), len as u32 + 1) == 0 }
}

/// How often a run looks whether another one has finished: some hundred times as long as a run takes.
const PATIENCE: u32 = 1 << 14;

/// A run that waits for another one.
#[repr(C)]
struct Wait {
    end: *const QueueEnd,
    locked: u64,
}

/// Takes the lock of what comes in. False when the one who has it does not give it back in time.
#[inline(always)]
fn lock(end: &QueueEnd) -> bool {
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
fn meet<const INGRESS: bool>(ctx: &SkBuffContext, sk: *mut bpf_sock, packet: &Packet) -> *mut Conn {
    let skb = ctx.skb.skb;
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
    if !maps::is_chosen(unsafe { socket::service_port(sk, leg) }) {
        return none;
    }
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
        debug!(ctx, "a connection to port {} is older than the observer", (*conn).facts.service_port());
    }
    conn
}

/// Notes the control group of a socket that the host accepted; whoever connects was asked then.
#[inline(always)]
fn know_cgroup(skb: *mut __sk_buff, conn: *mut Conn, leg: Leg) {
    // SAFETY: a value of the map; only the direction of answers writes the field once data flows.
    unsafe {
        if leg == Leg::Server && (*conn).facts.cgroup == 0 {
            (*conn).facts.cgroup = bpf_skb_cgroup_id(skb.cast());
        }
    }
}

/// Keeps data that comes with the packet that completes a handshake: it is shown to us with the listening socket
/// only (`tcp_v4_rcv`), before its connection is there.
#[inline(always)]
fn keep_early(skb: *mut __sk_buff) {
    // SAFETY: the context of a packet of a TCP socket.
    let Some(packet) = (unsafe { packet::parse(skb) }) else { return };
    let early = packet.early();
    if !packet.matters() || early.len == 0 {
        return;
    }
    let place = maps::early();
    if place.is_null() {
        return;
    }
    // Too long to be kept: what is left to tell is that there was something.
    let early = if early.len > SEGMENT_MAX { Early { len: 0, ..early } } else { early };
    // SAFETY: a value of the map, of this CPU alone.
    unsafe {
        (*place).source = u64::from(packet.source);
        (*place).held.put(0, early, |to, len| copy_out(skb, packet.segment.offset, to, len));
    }
}
