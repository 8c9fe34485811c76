//! When a server reads from its socket: how long a request lay in the kernel before.

use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::programs::BtfTracePointContext;
use hosp_agent_ebpf::Leg;

use crate::maps;

/// Notes that bytes were read, at `sock_recv_length(sk, ret, flags)` (`include/trace/events/sock.h`, Linux 6.3).
#[inline(always)]
pub fn read(ctx: &BtfTracePointContext) {
    let (sk, len) = (ctx.arg::<*mut bpf_sock>(0), ctx.arg::<i32>(1));
    if sk.is_null() || len <= 0 {
        return;
    }
    // SAFETY: a socket from the context, which the verifier knows by its type.
    let conn = unsafe { maps::conn(sk) };
    // SAFETY: a value of the map where it is not null.
    unsafe {
        if conn.is_null() || (*conn).facts.leg != Leg::Server as u8 || (*conn).is_blind() {
            return;
        }
        (*conn).reads.note(&(*conn).pending, || bpf_ktime_get_ns());
    }
}
