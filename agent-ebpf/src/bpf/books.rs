//! The kernel's own books, and the way of a record into the ring buffer.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit};
use hosp_agent_ebpf::{COUNTERS, Counter, LEG_STRIDE, Leg, Record};

use crate::maps::{BOOKS, records, wake_bytes};

/// Adds one to a counter of `leg`. Atomic, because an interrupt on the same CPU may count in between.
#[inline(always)]
pub fn count(leg: Leg, counter: Counter) {
    let base = match leg {
        Leg::Server => 0,
        Leg::Client => LEG_STRIDE,
    };
    if let Some(books) = BOOKS.get_ptr(0) {
        let index = (base + counter as u32) & (COUNTERS - 1);
        // SAFETY: a value of the map, whose counters are atomics; the index is masked to their number.
        unsafe { (*books).get_unchecked(index as usize) }.add(1);
    }
}

const _: () = assert!(COUNTERS.is_power_of_two());

/// Sends one record, written by `fill`. False when the ring buffer is full.
///
/// A wake-up costs more than a record, so userspace is only woken as the unread bytes pass a mark; otherwise
/// it looks by itself every few milliseconds.
#[inline(always)]
pub fn emit(fill: impl FnOnce(&mut Record)) -> bool {
    // SAFETY: the map is a ring buffer, and the size a constant.
    let record = unsafe { bpf_ringbuf_reserve(records(), size_of::<Record>() as u64, 0) }.cast::<Record>();
    if record.is_null() {
        return false;
    }
    // SAFETY: reserved for a record, all of whose fields are integers; `fill` writes every one of them.
    fill(unsafe { &mut *record });
    // SAFETY: the map is a ring buffer.
    let unread = unsafe { bpf_ringbuf_query(records(), u64::from(BPF_RB_AVAIL_DATA)) };
    let mark = wake_bytes();
    let passes = unread >= mark && unread < mark + 8 * size_of::<Record>() as u64;
    let wake = if passes { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    // SAFETY: reserved above, and submitted once.
    unsafe { bpf_ringbuf_submit(record.cast(), u64::from(wake)) };
    true
}
