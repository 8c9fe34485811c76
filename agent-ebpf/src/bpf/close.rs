//! A connection has ended: what still waits for an answer will not get one.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use hosp_agent_ebpf::Leg;
use hosp_agent_ebpf::conn::Conn;
use hosp_agent_ebpf::machine::Tcp;

use crate::maps;
use crate::run::{Run, drive, flush};

/// Requests that can wait, with a margin for those that had no place.
const WAITING: u32 = 64 * 1024;

/// Turns what waits into records, by who ended the connection: see [`Conn::outcome_at_close`].
///
/// # Safety
/// `conn` is a value of the map, and its socket is closed and locked.
#[inline(always)]
pub unsafe fn closed(conn: *mut Conn, tcp: Tcp, unacknowledged: bool) {
    // SAFETY: the caller vouches for it; single bytes and atomics.
    unsafe {
        if (*conn).is_blind() || (*conn).pending.waiting() == 0 {
            return;
        }
        let leg = (*conn).facts.leg();
        let (locks, end) = (leg == Leg::Client, (*conn).pending.ingress(leg));
        if locks && !end.try_lock() {
            // A last packet is looked at just now. Its program does not see the end: what waits stays open.
            return;
        }
        let desk = maps::take_scratch();
        if !desk.is_null() {
            let outcome = (*conn).outcome_at_close(unacknowledged) as u32;
            let skb = core::ptr::null_mut();
            let scratch = maps::scratch(desk);
            let mut run = Run { skb, conn, scratch, now_ns: bpf_ktime_get_ns(), tcp, outcome };
            drive(&mut run, WAITING, flush);
            maps::give_back(desk);
        }
        if locks {
            end.unlock();
        }
    }
}
