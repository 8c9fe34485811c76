//! The bytes that are being looked at: a bounded piece of one direction, read without bounds checks that the
//! kernel's verifier could not follow.

/// Bytes that a window can hold. A power of two, so that a mask keeps every index inside.
pub const WINDOW: usize = 4096;

/// Bytes readable beyond the last index, so that reading a few words from anywhere stays inside.
const SLACK: usize = 256;

/// Bytes of an unfinished line that are kept from one window, or segment, to the next.
pub const CARRY: usize = 192;

/// Most bytes of a segment that are loaded at once: what is left beside an unfinished line.
pub const LOAD: u32 = (WINDOW - CARRY) as u32;

const MASK: u32 = WINDOW as u32 - 1;

/// What [`Window::find_lf`] looks at in one go, in bytes.
pub const STRIDE: u32 = 64;

const LF: u64 = 0x0a0a_0a0a_0a0a_0a0a;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A bounded piece of one direction. Indices wrap at [`WINDOW`]; bytes past what was loaded are stale but readable.
#[repr(C, align(8))]
pub struct Window {
    bytes: [u8; WINDOW + SLACK],
}

impl Window {
    /// A window of zeros.
    pub const fn new() -> Self {
        Self { bytes: [0; WINDOW + SLACK] }
    }

    /// Where a segment's bytes are to be loaded.
    #[inline(always)]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// The byte at `at`.
    #[inline(always)]
    pub fn byte(&self, at: u32) -> u8 {
        // SAFETY: the mask keeps the index below WINDOW.
        unsafe { *self.bytes.as_ptr().add(mask(at)) }
    }

    /// The eight bytes from `at`, the first one in the lowest bits.
    #[inline(always)]
    pub fn word(&self, at: u32) -> u64 {
        // SAFETY: the mask keeps the index below WINDOW, and the slack is longer than a word.
        unsafe { load(self.bytes.as_ptr().add(mask(at))) }
    }

    /// The word `n` words after `at`, for `n` up to 31: one mask serves for all of them.
    #[inline(always)]
    pub fn word_after(&self, at: u32, n: usize) -> u64 {
        // SAFETY: the mask keeps the index below WINDOW, and 32 words are no longer than the slack.
        unsafe { load(self.bytes.as_ptr().add(mask(at)).add((n & 31) * 8)) }
    }

    /// How far after `at` the next line feed lies; [`STRIDE`] when none of the next [`STRIDE`] bytes is one.
    #[inline(always)]
    pub fn find_lf(&self, at: u32) -> u32 {
        let mut n = 0;
        while n < STRIDE / 8 {
            let hit = zero_bytes(self.word_after(at, n as usize) ^ LF);
            if hit != 0 {
                return n * 8 + hit.trailing_zeros() / 8;
            }
            n += 1;
        }
        STRIDE
    }

    /// Moves the `CARRY` bytes from `from` to the front.
    #[inline(always)]
    pub fn move_to_front(&mut self, from: u32) {
        let mut n = 0;
        // Ascending, so that an overlap with the front is read before it is written over.
        while n < CARRY / 8 {
            let word = self.word_after(from, n);
            self.put(n, word);
            n += 1;
        }
    }

    /// Puts a carried line back to the front.
    #[inline(always)]
    pub fn restore(&mut self, carried: &[u64; CARRY / 8]) {
        let mut n = 0;
        while n < CARRY / 8 {
            self.put(n, carried[n]);
            n += 1;
        }
    }

    /// Keeps the `CARRY` bytes from `from` for the next segment.
    #[inline(always)]
    pub fn save(&self, from: u32, carried: &mut [u64; CARRY / 8]) {
        let mut n = 0;
        while n < CARRY / 8 {
            carried[n] = self.word_after(from, n);
            n += 1;
        }
    }

    /// Writes a word at `at`.
    #[inline(always)]
    pub fn put_unaligned(&mut self, at: u32, word: u64) {
        // SAFETY: the mask keeps the index below WINDOW, and the slack is longer than a word.
        unsafe { store(self.bytes.as_mut_ptr().add(mask(at)), word) }
    }

    /// Writes the `n`th word of the front.
    #[inline(always)]
    fn put(&mut self, n: usize, word: u64) {
        // SAFETY: n is below CARRY / 8 in every caller, and the window is aligned to a word.
        unsafe { self.bytes.as_mut_ptr().cast::<u64>().add(n & 31).write(word) }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets the high bit of the lowest byte of `x` that is zero; bits above it may be set wrongly.
#[inline(always)]
pub const fn zero_bytes(x: u64) -> u64 {
    x.wrapping_sub(ONES) & !x & HIGHS
}

/// How far into `word` the first line feed lies; 8 when it has none.
#[inline(always)]
pub const fn lf_in(word: u64) -> u32 {
    let hit = zero_bytes(word ^ LF);
    if hit == 0 { 8 } else { hit.trailing_zeros() / 8 }
}

/// Index within the window, in a form that no optimisation takes the mask from.
#[inline(always)]
fn mask(at: u32) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut index = u64::from(at);
        // SAFETY: one arithmetic instruction on a register. In assembly, because LLVM drops an `and` that it
        // can prove needless, and the kernel's verifier cannot follow the proof.
        unsafe {
            core::arch::asm!("{0} &= {1}", inout(reg) index, const MASK, options(pure, nomem, nostack))
        };
        index as usize
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        (at & MASK) as usize
    }
}

/// The eight bytes at `at`, little-endian.
///
/// # Safety
/// Eight bytes from `at` on are readable.
#[inline(always)]
pub(crate) unsafe fn load(at: *const u8) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let word: u64;
        // SAFETY: the caller vouches for the eight bytes. In assembly, because an unaligned read compiles to
        // eight byte loads for this target, while the kernel allows it whole on map values (x86-64, arm64).
        unsafe {
            core::arch::asm!("{0} = *(u64 *)({1} + 0)", out(reg) word, in(reg) at, options(pure, readonly, nostack))
        };
        word
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        // SAFETY: the caller vouches for the eight bytes.
        u64::from_le(unsafe { core::ptr::read_unaligned(at.cast::<u64>()) })
    }
}

/// Writes eight bytes to `at`, little-endian.
///
/// # Safety
/// Eight bytes from `at` on are writable.
#[inline(always)]
pub(crate) unsafe fn store(at: *mut u8, word: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller vouches for the eight bytes; see `load` for why it is assembly.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + 0) = {1}", in(reg) at, in(reg) word, options(nostack))
    };
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller vouches for the eight bytes.
    unsafe {
        core::ptr::write_unaligned(at.cast::<u64>(), word.to_le());
    }
}
