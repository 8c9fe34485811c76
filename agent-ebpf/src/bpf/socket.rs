//! A connection's life: who connects, when it is established, when it ends.

use core::mem::offset_of;

use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE, bpf_sock,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_netns_cookie, bpf_sock_ops_cb_flags_set,
    bpf_tcp_sock,
};
use aya_ebpf::programs::{SockAddrContext, SockOpsContext};
use hosp_agent_ebpf::conn::Conn;
use hosp_agent_ebpf::machine::Tcp;
use hosp_agent_ebpf::{COMM_LEN, Counter, Leg};

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
    // SAFETY: a value of the map, and fields of the socket; neither is null.
    unsafe {
        let unacknowledged = (*tcp).icsk_retransmits > 0;
        let tcp = Tcp { srtt_us: (*tcp).srtt_us >> 3, retransmits: (*tcp).total_retrans };
        close::closed(conn, tcp, unacknowledged);
    }
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
        if leg == Leg::Server && maps::is_own((*conn).facts.local_port, bpf_get_netns_cookie(ctx.ops.cast()))
        {
            (*conn).facts.own = 1;
            return;
        }
        bpf_sock_ops_cb_flags_set(ctx.ops, (flags | BPF_SOCK_OPS_STATE_CB_FLAG) as i32);
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
