//! hosp-agent's eBPF programs.
//!
//! They observe and never interfere: every program ends in one return of [`PASS`], whatever happens before it.
//! All they read comes through UAPI structures and helpers, so that no kernel structure's layout matters.
//! Needs Linux 6.1: `bpf_loop` is of 5.17, `bpf_get_current_comm` in connect programs of 6.1.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "what the attribute macros expand to; the loader finds programs by section"
)]

mod books;
mod close;
mod maps;
mod packet;
mod reads;
mod run;
mod socket;
mod traffic;

use aya_ebpf::macros::{btf_tracepoint, cgroup_skb, cgroup_sock_addr, sock_ops};
use aya_ebpf::programs::{BtfTracePointContext, SkBuffContext, SockAddrContext, SockOpsContext};

/// What tells the kernel to go on as if nobody had looked: on the root cgroup, anything else cuts the host off.
const PASS: i32 = 1;

/// Data that a socket of the cgroup receives.
#[cgroup_skb(ingress)]
pub fn hosp_ingress(ctx: SkBuffContext) -> i32 {
    traffic::observe::<true>(&ctx);
    PASS
}

/// Data that a socket of the cgroup sends.
#[cgroup_skb(egress)]
pub fn hosp_egress(ctx: SkBuffContext) -> i32 {
    traffic::observe::<false>(&ctx);
    PASS
}

/// A connection was established, or has ended.
#[sock_ops]
pub fn hosp_sock_ops(ctx: SockOpsContext) -> u32 {
    socket::life(&ctx);
    PASS as u32
}

/// A process connects over IPv4: the only moment at which the kernel says which one.
#[cgroup_sock_addr(connect4)]
pub fn hosp_connect4(ctx: SockAddrContext) -> i32 {
    socket::connects(&ctx);
    PASS
}

/// A process connects over IPv6.
#[cgroup_sock_addr(connect6)]
pub fn hosp_connect6(ctx: SockAddrContext) -> i32 {
    socket::connects(&ctx);
    PASS
}

/// A process has read from a socket. Needs Linux 6.3; everything else works without it.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn hosp_read(ctx: BtfTracePointContext) -> i32 {
    reads::read(&ctx);
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// Licensed MIT OR Apache-2.0 as everything here; the kernel knows the MIT side under this name.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
