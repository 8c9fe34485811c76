//! A number that programs on several CPUs change at once.
//!
//! The kernel's target has no compare-and-swap in `core`'s eyes, so `core::sync::atomic` offers loads and stores
//! only; the instructions exist since BPF version 3 (Linux 5.12).

use core::cell::UnsafeCell;

/// A number that programs on several CPUs change at once. Every change is a full barrier.
#[repr(transparent)]
pub struct Shared(UnsafeCell<u64>);

// SAFETY: every access is one atomic instruction.
unsafe impl Sync for Shared {}

impl Shared {
    /// A number that begins as `value`.
    pub const fn new(value: u64) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The number now.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        #[cfg(target_arch = "bpf")]
        // SAFETY: eight aligned bytes of ours, which the target reads in one instruction. Volatile, because LLVM
        // selects no atomic load for BPF version 3.
        unsafe {
            self.0.get().read_volatile()
        }
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Makes it `value`, and returns what it was.
    #[inline(always)]
    pub fn swap(&self, value: u64) -> u64 {
        #[cfg(target_arch = "bpf")]
        {
            let mut value = value;
            // SAFETY: one atomic instruction on eight aligned bytes of ours.
            unsafe {
                core::arch::asm!("{v} = xchg_64({p} + 0, {v})", p = in(reg) self.0.get(), v = inout(reg) value, options(nostack))
            };
            value
        }
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().swap(value, core::sync::atomic::Ordering::SeqCst)
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        #[cfg(target_arch = "bpf")]
        // SAFETY: one atomic instruction on eight aligned bytes of ours.
        unsafe {
            core::arch::asm!("lock *(u64 *)({p} + 0) += {n}", p = in(reg) self.0.get(), n = in(reg) n, options(nostack));
        }
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().fetch_add(n, core::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(not(target_arch = "bpf"))]
    fn atomic(&self) -> &core::sync::atomic::AtomicU64 {
        // SAFETY: same size and alignment, and never accessed otherwise.
        unsafe { core::sync::atomic::AtomicU64::from_ptr(self.0.get()) }
    }
}
