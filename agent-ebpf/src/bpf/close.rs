//! A connection has ended: what still waits for an answer will not get one.

use aya_ebpf::bindings::bpf_sock;
use hosp_agent_ebpf::Leg;
use hosp_agent_ebpf::conn::Conn;

use crate::run::{Run, at_desk};

/// Turns what waits into records, by who ended the connection: see [`Conn::outcome_at_close`].
///
/// # Safety
/// `conn` is the value of `sk`, a TCP socket that is closed and locked.
#[inline(always)]
pub unsafe fn closed(sk: *mut bpf_sock, conn: *mut Conn, unacknowledged: bool) {
    // SAFETY: the caller vouches for it; single bytes and atomics.
    unsafe {
        if (*conn).facts.left_out != 0 || (*conn).pending.waiting() == 0 {
            return;
        }
        let leg = (*conn).facts.leg();
        let (locks, end) = (leg == Leg::Client, (*conn).pending.ingress(leg));
        if locks && !end.try_lock() {
            // A last packet is looked at just now. Its program does not see the end: what waits stays open.
            return;
        }
        at_desk(|desk| {
            Run::<false>::new(core::ptr::null_mut(), sk, conn, desk).close(unacknowledged);
        });
        if locks {
            end.unlock();
        }
    }
}
