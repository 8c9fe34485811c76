//! The kernel's own books, and the way of a record into the ring buffer.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit};
use hosp_agent_ebpf::conn::PATH_REST;
use hosp_agent_ebpf::{COUNTERS, Counter, LEG_STRIDE, LONG, Leg, RecordHead, SHORT};

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

/// A record whose path is long, as it lies in the ring buffer.
#[repr(C)]
struct Long {
    head: RecordHead,
    path_rest: [u64; PATH_REST],
}

const _: () = assert!(size_of::<Long>() == LONG && size_of::<RecordHead>() == SHORT);

/// Sends one record: its head, written by `fill`, and the rest of a long path. False when the ring buffer is full.
#[inline(always)]
pub fn emit(path_rest: Option<&[u64; PATH_REST]>, fill: impl FnOnce(&mut RecordHead)) -> bool {
    // SAFETY: reserved for what is written, all of whose fields are integers; every one of them is written.
    unsafe {
        match path_rest {
            None => {
                let record = reserve::<RecordHead>();
                if record.is_null() {
                    return false;
                }
                fill(&mut *record);
                submit(record);
            }
            Some(path_rest) => {
                let record = reserve::<Long>();
                if record.is_null() {
                    return false;
                }
                fill(&mut (*record).head);
                let mut n = 0;
                while n < PATH_REST {
                    (*record).path_rest[n] = path_rest[n];
                    n += 1;
                }
                submit(record);
            }
        }
    }
    true
}

/// Room for a `T` in the ring buffer; null when there is none.
#[inline(always)]
fn reserve<T>() -> *mut T {
    // SAFETY: the map is a ring buffer, and the size a constant.
    unsafe { bpf_ringbuf_reserve(records(), size_of::<T>() as u64, 0) }.cast()
}

/// Hands a record over.
///
/// A wake-up costs more than a record, so userspace is only woken as the unread bytes pass a mark; otherwise
/// it looks by itself every few milliseconds.
///
/// # Safety
/// `record` is from [`reserve`], not null, and not used again.
#[inline(always)]
unsafe fn submit<T>(record: *mut T) {
    // SAFETY: the map is a ring buffer.
    let unread = unsafe { bpf_ringbuf_query(records(), u64::from(BPF_RB_AVAIL_DATA)) };
    let mark = wake_bytes();
    let passes = unread >= mark && unread < mark + 8 * LONG as u64;
    let wake = if passes { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    // SAFETY: the caller vouches for it.
    unsafe { bpf_ringbuf_submit(record.cast(), u64::from(wake)) };
}
