//! A connection's life: who connects, when it is established, when it ends.

use core::ffi::c_void;
use core::mem::offset_of;

use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE, bpf_sock,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_netns_cookie,
    bpf_loop, bpf_sock_ops_cb_flags_set, bpf_tcp_sock,
};
use aya_ebpf::programs::{SockAddrContext, SockOpsContext};
use hosp_agent_ebpf::conn::Conn;
use hosp_agent_ebpf::machine::Requests;
use hosp_agent_ebpf::stash::{Held, SEGMENT_MAX};
use hosp_agent_ebpf::{COMM_LEN, Counter, Leg};

use crate::run::{Run, at_desk};
use crate::{books, close, maps};

const AF_INET: u32 = 2;
const SOCK_STREAM: u32 = 1;
const IPPROTO_TCP: u32 = 6;

/// Whether `sk` is a TCP socket.
///
/// # Safety
/// `sk` is a full socket.
#[inline(always)]
pub unsafe fn is_tcp(sk: *const bpf_sock) -> bool {
    // SAFETY: the caller vouches for it.
    unsafe { (*sk).protocol == IPPROTO_TCP }
}

/// Notes which process connects: later, in interrupts, nobody knows.
#[inline(always)]
pub fn connects(ctx: &SockAddrContext) {
    // SAFETY: fields of the context.
    let (kind, protocol, sk) = unsafe {
        let addr = ctx.sock_addr;
        ((*addr).type_, (*addr).protocol, (*addr).__bindgen_anon_1.sk)
    };
    if kind != SOCK_STREAM || protocol != IPPROTO_TCP || sk.is_null() {
        return;
    }
    // SAFETY: a socket from the context, not null.
    let conn = unsafe { maps::conn_or_new(sk) };
    if conn.is_null() {
        books::count(Leg::Client, Counter::NoStorage);
        return;
    }
    // SAFETY: no data flows before the connection is established, so that nobody else looks at its facts; the
    // helper writes as many bytes as there are.
    unsafe {
        (*conn).facts.pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        (*conn).facts.cgroup = bpf_get_current_cgroup_id();
        bpf_get_current_comm((&raw mut (*conn).facts.comm).cast(), COMM_LEN as u32);
    }
}

/// Follows a connection from its establishment to its end.
#[inline(always)]
pub fn life(ctx: &SockOpsContext) {
    // SAFETY: fields of the context.
    let (op, sk) = unsafe { ((*ctx.ops).op, (*ctx.ops).__bindgen_anon_2.sk) };
    if sk.is_null() {
        return;
    }
    match op {
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(ctx, sk, Leg::Client),
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(ctx, sk, Leg::Server),
        BPF_SOCK_OPS_STATE_CB => {
            // SAFETY: a field of the context.
            let state = unsafe { (*ctx.ops).__bindgen_anon_1.args[1] };
            if state == BPF_TCP_CLOSE {
                ended(sk);
            }
        }
        _ => {}
    }
}

/// The socket is closed, for whatever reason.
#[inline(always)]
fn ended(sk: *mut bpf_sock) {
    // SAFETY: a socket from the context, not null.
    let (conn, tcp) = unsafe { (maps::conn(sk), bpf_tcp_sock(sk)) };
    if conn.is_null() || tcp.is_null() {
        return;
    }
    // SAFETY: a value of the map, and a field of the socket; neither is null.
    unsafe { close::closed(sk, conn, (*tcp).icsk_retransmits > 0) };
}

/// Data may flow from now on: both directions begin at a known place.
#[inline(always)]
fn established(ctx: &SockOpsContext, sk: *mut bpf_sock, leg: Leg) {
    // SAFETY: fields of the context.
    let (received, sent, flags) =
        unsafe { ((*ctx.ops).rcv_nxt, (*ctx.ops).snd_nxt, (*ctx.ops).bpf_sock_ops_cb_flags) };
    // SAFETY: a socket from the context, not null.
    let conn = unsafe { maps::conn_or_new(sk) };
    if conn.is_null() {
        books::count(leg, Counter::NoStorage);
        return;
    }
    // SAFETY: no data flows before this, so that nobody else looks at the value.
    unsafe {
        introduce(conn, sk, leg);
        let (request, response) = match leg {
            Leg::Server => (received, sent),
            Leg::Client => (sent, received),
        };
        (*conn).request.open(request);
        (*conn).response.open(response);
        let facts = &(*conn).facts;
        // On the client leg, a connection to the observer from its own host: it is seen at the other end, or would be.
        let own = (leg == Leg::Server || facts.is_within_host())
            && maps::is_own(facts.service_port(), bpf_get_netns_cookie(ctx.ops.cast()));
        if own || !maps::is_chosen(facts.service_port()) {
            (*conn).facts.left_out = 1;
            return;
        }
        bpf_sock_ops_cb_flags_set(ctx.ops, (flags | BPF_SOCK_OPS_STATE_CB_FLAG) as i32);
        if leg == Leg::Server {
            take_early(sk, conn);
        }
    }
}

/// How far ahead of what it waits for early data may be, in bytes: a first window.
const EARLY_MAX: u32 = 65_536;

/// A copy of kept segments under way.
#[repr(C)]
struct Copy {
    from: *const Held,
    to: *mut Held,
}

/// Keeps early data on, until what is missing before it has come.
///
/// # Safety
/// `conn` is the value of `sk`, and this is the only run on it.
#[inline(always)]
unsafe fn keep_on(sk: *mut bpf_sock, conn: *mut Conn, held: &Held) {
    // SAFETY: the caller vouches for it.
    unsafe {
        let stash = maps::stash(sk, true);
        if stash.is_null() {
            return;
        }
        (*stash).clear();
        let Some(place) = (*stash).get(0) else { return };
        place.become_as(held);
        let mut copy = Copy { from: held, to: place };
        bpf_loop(SEGMENT_MAX / 8, copy_word as *const () as *mut c_void, (&raw mut copy).cast(), 0);
        (*conn).request.held = 1;
    }
}

#[inline(never)]
unsafe extern "C" fn copy_word(n: u32, copy: *mut Copy) -> i64 {
    // SAFETY: called by `keep_on`, with values of the maps.
    unsafe { (*(*copy).to).copy_from(&*(*copy).from, n) };
    0
}

/// Takes in the data that came with the packet that completed the handshake.
#[inline(always)]
fn take_early(sk: *mut bpf_sock, conn: *mut Conn) {
    let early = maps::early();
    if early.is_null() {
        return;
    }
    // SAFETY: values of the maps; no data flows yet, so that this is the only run on the connection.
    unsafe {
        let held = &mut (*early).held;
        if held.is_empty() {
            return;
        }
        let ahead = held.seq().wrapping_sub((*conn).request.next_seq);
        if (*early).source == u64::from((*conn).facts.remote_port) {
            if ahead == 0 {
                let taken = held.len() > 0
                    && at_desk(|desk| {
                        let mut run = Run::<false>::new(core::ptr::null_mut(), sk, conn, desk);
                        run.take_held::<Requests>(held);
                    });
                if !taken {
                    books::count(Leg::Server, Counter::Resyncs);
                    (*conn).epoch.add(1);
                }
            } else if ahead < EARLY_MAX {
                keep_on(sk, conn, held);
            }
        }
        held.free();
    }
}

/// Writes down both ends of a connection.
///
/// # Safety
/// `conn` is a value of the map that nobody else looks at yet, `sk` its socket.
#[inline(always)]
pub unsafe fn introduce(conn: *mut Conn, sk: *const bpf_sock, leg: Leg) {
    // SAFETY: the caller vouches for both.
    unsafe {
        let facts = &raw mut (*conn).facts;
        let (local, remote) = if (*sk).family == AF_INET {
            let mapped = |v4: u32| [0, 0, 0xffff_u32.to_be(), v4];
            (
                mapped(word::<{ offset_of!(bpf_sock, src_ip4) }>(sk)),
                mapped(word::<{ offset_of!(bpf_sock, dst_ip4) }>(sk)),
            )
        } else {
            const SRC: usize = offset_of!(bpf_sock, src_ip6);
            const DST: usize = offset_of!(bpf_sock, dst_ip6);
            (
                [word::<SRC>(sk), word::<{ SRC + 4 }>(sk), word::<{ SRC + 8 }>(sk), word::<{ SRC + 12 }>(sk)],
                [word::<DST>(sk), word::<{ DST + 4 }>(sk), word::<{ DST + 8 }>(sk), word::<{ DST + 12 }>(sk)],
            )
        };
        // Already in network byte order, as the kernel keeps them.
        (*facts).local_addr = core::mem::transmute::<[u32; 4], [u8; 16]>(local);
        (*facts).remote_addr = core::mem::transmute::<[u32; 4], [u8; 16]>(remote);
        (*facts).local_port = (*sk).src_port as u16;
        (*facts).remote_port = u16::from_be((*sk).dst_port);
        (*facts).leg = leg as u8;
    }
}

/// The port at which the server of `sk` listens.
///
/// # Safety
/// `sk` is a full socket.
#[inline(always)]
pub unsafe fn service_port(sk: *const bpf_sock, leg: Leg) -> u16 {
    // SAFETY: the caller vouches for it.
    unsafe {
        match leg {
            Leg::Server => (*sk).src_port as u16,
            Leg::Client => u16::from_be((*sk).dst_port),
        }
    }
}

/// The four bytes at `AT` in a socket. In assembly, because LLVM likes to compute the address of a field that
/// two branches read, and the verifier allows no arithmetic on a socket's address.
///
/// # Safety
/// `sk` is a full socket, `AT` the offset of a field of four bytes.
#[inline(always)]
unsafe fn word<const AT: usize>(sk: *const bpf_sock) -> u32 {
    let word: u64;
    // SAFETY: the caller vouches for it.
    unsafe {
        core::arch::asm!("{0} = *(u32 *)({1} + {2})", out(reg) word, in(reg) sk, const AT, options(pure, readonly, nostack));
    }
    word as u32
}
