//! Requests that wait for their answers, and when the server read them.

use core::cell::UnsafeCell;
use core::mem::offset_of;

use super::LINE;
use crate::shared::{Published, Shared};
use crate::{Leg, PATH_MAX};

/// Requests of one connection that can wait for their answers at once. Further ones are lost, and counted.
pub const PENDING: usize = 16;

/// Words of a path that lie in a slot's first cache line.
pub const PATH_HEAD: usize = 3;

/// Words of a path beyond those.
pub const PATH_REST: usize = PATH_MAX / 8 - PATH_HEAD;

/// A request that waits for its answer. What most requests need lies in its first cache line.
#[repr(C)]
pub struct Slot {
    /// First byte of the request.
    pub start_ns: u64,
    /// Bytes of the request so far.
    pub request_bytes: u64,
    /// What names the request across hosts and tries, hashed; 0 when nothing does.
    pub request_id: u64,
    /// Number of the request on its connection; tells a slot that is used from one that is stale. Written last:
    /// it tells the consumer that the rest is there.
    pub ordinal: Published,
    /// [`Conn::epoch`] when the request came.
    pub epoch: u32,
    /// Bytes of its head, 65,535 for longer ones; 0 until the head has ended.
    pub head: u16,
    /// Segments that the connection had sent again by then: the low bits.
    pub retransmits: u16,
    /// A method.
    pub method: u8,
    /// Bits of [`crate::flags`].
    pub flags: u8,
    /// Bytes of the path.
    pub path_len: u8,
    /// Always 0.
    pub _pad: u8,
    /// The target up to its query, cut; zeros behind it.
    pub path: [u64; PATH_HEAD],
    /// What `path` has no room for; old where the path is shorter.
    pub path_rest: [u64; PATH_REST],
}

/// The queue of requests that wait for their answers: the request's direction puts in, the answer's takes out.
///
/// Request `n` lies in slot `n % PENDING`. When that slot is still taken the request is numbered but not kept,
/// so that the answers after it still find their own requests.
#[repr(C)]
pub struct Pending {
    producer: End,
    consumer: End,
    slots: UnsafeCell<[Slot; PENDING]>,
}

/// One end of the queue, alone in its cache line.
#[repr(C)]
pub struct End {
    /// Number of the newest request that went through.
    number: Shared,
    /// 1 while a program works on the direction.
    busy: Shared,
    _alone: [u64; 6],
}

impl End {
    /// Takes the direction for a run. False when another run has it.
    #[inline(always)]
    pub fn try_lock(&self) -> bool {
        self.busy.swap(1) == 0
    }

    /// Gives it back.
    #[inline(always)]
    pub fn unlock(&self) {
        self.busy.publish(0);
    }
}

// SAFETY: a slot is written by the producer only while its number is not published, or is not yet answered and
// the field is one that only the producer writes; the consumer reads it in between. See `Slot::ordinal`.
unsafe impl Sync for Pending {}

impl Pending {
    /// The end of `leg`'s socket at which packets come in: requests on the server leg, answers on the client leg.
    #[inline(always)]
    pub fn ingress(&self, leg: Leg) -> &End {
        match leg {
            Leg::Server => &self.producer,
            Leg::Client => &self.consumer,
        }
    }

    /// Number of the newest request.
    #[inline(always)]
    pub fn requested(&self) -> u32 {
        self.producer.number.get() as u32
    }

    /// Number of the newest request that is done with.
    #[inline(always)]
    pub fn answered(&self) -> u32 {
        self.consumer.number.get() as u32
    }

    /// Requests that wait.
    #[inline(always)]
    pub fn waiting(&self) -> u32 {
        self.requested().wrapping_sub(self.answered())
    }

    /// Consumer: whether a request waits. Looks at the producer's end only when the next slot is empty.
    #[inline(always)]
    pub fn is_waiting(&self) -> bool {
        self.is_kept(self.answered().wrapping_add(1)) || self.waiting() > 0
    }

    /// Consumer: whether request `ordinal`, which is not yet done with, is there and had a place.
    #[inline(always)]
    pub fn is_kept(&self, ordinal: u32) -> bool {
        // SAFETY: a number that the producer writes in one instruction.
        unsafe { (*self.slot(ordinal)).ordinal.get() == ordinal }
    }

    /// Producer: makes request `ordinal` visible, with what its slot holds if it has a place.
    #[inline(always)]
    pub fn publish(&self, ordinal: u32, kept: bool) {
        if kept {
            // SAFETY: the slot is the producer's until now.
            unsafe { (*self.slot(ordinal)).ordinal.set(ordinal) };
        }
        self.producer.number.publish(u64::from(ordinal));
    }

    /// Consumer: is done with request `ordinal`.
    #[inline(always)]
    pub fn retire(&self, ordinal: u32) {
        self.consumer.number.publish(u64::from(ordinal));
    }

    /// Where request `ordinal` lies.
    #[inline(always)]
    pub fn slot(&self, ordinal: u32) -> *mut Slot {
        // SAFETY: the index is masked to the array's length.
        unsafe { self.slots.get().cast::<Slot>().add(slot_index(ordinal)) }
    }
}

/// When the application read requests from the socket: written where it reads, on whichever CPU that is.
#[repr(C)]
pub struct Reads {
    /// Number of the newest request that was there at the last read.
    newest: Published,
    _pad: u32,
    /// When request `n` was read first, in place `n % PENDING`.
    at_ns: UnsafeCell<[u64; PENDING]>,
    _alone: [u64; 7],
}

// SAFETY: a time is written before its number is published, and not again until that request is answered. Two reads at
// once write nearly the same.
unsafe impl Sync for Reads {}

impl Reads {
    /// The application has read from the socket, `now_ns` says when.
    ///
    /// Asks the slots, not the producer's end of the queue: the answer's direction needs the slots' cache lines next,
    /// and nobody here needs the other one.
    #[inline(always)]
    pub fn note(&self, pending: &Pending, now_ns: impl FnOnce() -> u64) {
        let (newest, answered) = (self.newest.get(), pending.answered());
        let from = if newest.wrapping_sub(answered).cast_signed() < 0 { answered } else { newest };
        if !pending.is_kept(from.wrapping_add(1)) {
            return;
        }
        let now_ns = now_ns();
        let mut ordinal = from;
        let mut n = 0;
        while n < PENDING && pending.is_kept(ordinal.wrapping_add(1)) {
            ordinal = ordinal.wrapping_add(1);
            // SAFETY: the index is masked to the array's length.
            unsafe { self.at_ns.get().cast::<u64>().add(slot_index(ordinal)).write(now_ns) };
            n += 1;
        }
        self.newest.set(ordinal);
    }

    /// When request `ordinal`, one of the last [`PENDING`], was read; nothing when it was not, or nobody knows.
    #[inline(always)]
    pub fn at_ns(&self, ordinal: u32) -> Option<u64> {
        if self.newest.get().wrapping_sub(ordinal).cast_signed() < 0 {
            return None;
        }
        // SAFETY: the index is masked to the array's length.
        Some(unsafe { *self.at_ns.get().cast::<u64>().add(slot_index(ordinal)) })
    }
}

/// Index of a slot, in a form that no optimisation takes the mask from.
#[inline(always)]
fn slot_index(ordinal: u32) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut index = u64::from(ordinal);
        // SAFETY: one arithmetic instruction on a register; see `window::mask` for why it is assembly.
        unsafe {
            core::arch::asm!("{0} &= {1}", inout(reg) index, const PENDING as u64 - 1, options(pure, nomem, nostack))
        };
        index as usize
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        ordinal as usize % PENDING
    }
}

const _: () = assert!(PENDING.is_power_of_two());
const _: () = assert!(offset_of!(Slot, path_rest) == LINE && size_of::<Slot>() == 3 * LINE);
