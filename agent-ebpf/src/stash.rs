//! Segments that came before their turn: kept until what they wait for has come.
//!
//! A program sees packets before TCP puts them in order. What comes too early is not shown again, so it is kept
//! here; bodies do without, because a hole in a body has a known length.

use crate::window::{LOAD, WINDOW, Window};

/// Runs of segments in one direction that can wait at once, each behind a hole of its own. When there are more, the
/// connection's thread is lost.
pub const HELD: usize = 3;

/// Longest segment that can wait, in bytes: one of Ethernet's size, with room to spare.
pub const SEGMENT_MAX: u32 = 2048;

/// Most bytes of one run: what the window takes in at once.
pub const HELD_MAX: u32 = LOAD;

/// Bytes readable beyond a run's end, so that a whole word can be read anywhere.
const SLACK: usize = 8;

/// A run of segments that waits. All zeros is a free place.
#[repr(C)]
pub struct Held {
    /// 1 while a run is here.
    used: u8,
    /// 1 when the sender sends nothing after it.
    fin: u8,
    /// Its bytes.
    len: u16,
    /// Sequence number of its first byte.
    seq: u32,
    bytes: [u8; 2 * SEGMENT_MAX as usize + SLACK],
}

impl Held {
    /// Puts a segment in, whose first byte is byte `at` of the run: `load` copies its `len` bytes to where they are
    /// to lie. False when that fails. A run begins with `at` 0; what [`Stash::room`] says holds.
    #[inline(always)]
    pub fn put(&mut self, at: u32, segment: Early, load: impl FnOnce(*mut u8, u32) -> bool) -> bool {
        let Early { seq, len, fin } = segment;
        // SAFETY: at is below SEGMENT_MAX, and there is room for a segment behind it.
        if len > 0 && !load(unsafe { self.bytes.as_mut_ptr().add(index(at, SEGMENT_MAX)) }, len) {
            return false;
        }
        if at == 0 {
            self.seq = seq;
            self.fin = 0;
        }
        self.len = at.wrapping_add(len) as u16;
        self.fin |= u8::from(fin);
        self.used = 1;
        true
    }

    /// Becomes a copy of `other` but for its bytes, which [`Held::copy_from`] brings.
    #[inline(always)]
    pub fn become_as(&mut self, other: &Self) {
        self.seq = other.seq;
        self.len = other.len;
        self.fin = other.fin;
        self.used = other.used;
    }

    /// Copies the `n`th word of `other`'s bytes.
    #[inline(always)]
    pub fn copy_from(&mut self, other: &Self, n: u32) {
        let at = index(n.wrapping_mul(8), 2 * SEGMENT_MAX);
        // SAFETY: below twice SEGMENT_MAX, and the slack is a word.
        unsafe {
            let word = crate::window::load(other.bytes.as_ptr().add(at));
            crate::window::store(self.bytes.as_mut_ptr().add(at), word);
        }
    }

    /// The place is free again.
    #[inline(always)]
    pub fn free(&mut self) {
        self.used = 0;
    }

    /// Sequence number of its first byte.
    #[inline(always)]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// Its bytes.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        u32::from(self.len)
    }

    /// Whether no segment is here.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether the sender sends nothing after it.
    #[inline(always)]
    pub fn fin(&self) -> bool {
        self.fin != 0
    }

    /// Copies the `n`th word of what follows byte `from` into `window`, to where it lies behind byte `to`.
    #[inline(always)]
    pub fn copy_word(&self, n: u32, from: u32, window: &mut Window, to: u32) {
        let at = from.wrapping_add(n.wrapping_mul(8));
        if at < HELD_MAX {
            // SAFETY: below twice SEGMENT_MAX, and the slack is a word.
            let word = unsafe { crate::window::load(self.bytes.as_ptr().add(index(at, 2 * SEGMENT_MAX))) };
            window.put_unaligned(to.wrapping_add(n.wrapping_mul(8)), word);
        }
    }
}

/// A segment that came before its turn.
#[derive(Clone, Copy, Debug)]
pub struct Early {
    /// Sequence number of its first byte.
    pub seq: u32,
    /// Its bytes, at most [`SEGMENT_MAX`].
    pub len: u32,
    /// Whether the sender sends nothing after it.
    pub fin: bool,
}

/// `at`, which is below the power of two `limit`, in a form that the kernel's verifier follows.
#[inline(always)]
fn index(at: u32, limit: u32) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let (mut index, mask) = (u64::from(at), u64::from(limit - 1));
        // SAFETY: one arithmetic instruction on a register, see `window::mask`.
        unsafe {
            core::arch::asm!("{0} &= {1}", inout(reg) index, in(reg) mask, options(pure, nomem, nostack))
        };
        index as usize
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        debug_assert!(at < limit);
        at as usize
    }
}

/// What waits in one direction.
#[repr(C)]
pub struct Stash {
    held: [Held; HELD],
}

/// Where a segment can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It waits already.
    Known,
    /// In this place, from this byte on.
    At(u32, u32),
    /// Nowhere.
    None,
}

impl Stash {
    /// Forgets everything.
    #[inline(always)]
    pub fn clear(&mut self) {
        let mut n = 0;
        while n < HELD {
            self.held[n].free();
            n += 1;
        }
    }

    /// Where `segment` can wait: behind the run that it goes on, or in a place of its own.
    #[inline(always)]
    pub fn room(&self, segment: Early) -> Room {
        if segment.len > SEGMENT_MAX {
            return Room::None;
        }
        let mut room = Room::None;
        let mut n = 0;
        while n < HELD {
            let held = &self.held[n];
            let at = segment.seq.wrapping_sub(held.seq);
            let end = at.wrapping_add(segment.len);
            if held.is_empty() {
                if room == Room::None {
                    room = Room::At(n as u32, 0);
                }
            } else if at <= held.len() {
                if end <= held.len() && (held.fin() || !segment.fin) {
                    return Room::Known;
                }
                if at < SEGMENT_MAX && end <= HELD_MAX && end >= held.len() {
                    return Room::At(n as u32, at);
                }
            }
            n += 1;
        }
        room
    }

    /// The place of a segment whose turn it is when `next_seq` is the next byte expected; [`HELD`] when there is none.
    #[inline(always)]
    pub fn ready(&self, next_seq: u32) -> u32 {
        let mut ready = HELD as u32;
        let mut n = 0;
        while n < HELD {
            if !self.held[n].is_empty() && next_seq.wrapping_sub(self.held[n].seq).cast_signed() >= 0 {
                ready = n as u32;
            }
            n += 1;
        }
        ready
    }

    /// What is kept in place `n`; nothing when there is no such place.
    #[inline(always)]
    pub fn get(&mut self, n: u32) -> Option<&mut Held> {
        let held = self.held.as_mut_ptr();
        // Comparisons with constants, which the kernel's verifier follows best.
        // SAFETY: each index is below HELD.
        unsafe {
            match n {
                0 => Some(&mut *held),
                1 => Some(&mut *held.add(1)),
                2 => Some(&mut *held.add(2)),
                _ => None,
            }
        }
    }
}

const _: () = assert!(HELD == 3 && SEGMENT_MAX.is_power_of_two() && SEGMENT_MAX as usize * 2 <= WINDOW);
// With the kernel's bookkeeping of 72 bytes, four pages.
const _: () = assert!(size_of::<Stash>() + 72 <= 16384);
