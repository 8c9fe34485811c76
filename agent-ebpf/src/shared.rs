//! Numbers that programs on several CPUs look at and change at once.
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

    /// Makes it `value`, after everything that this CPU wrote before.
    ///
    /// Much cheaper than [`Shared::swap`], which waits until all of that has left the CPU.
    #[inline(always)]
    pub fn publish(&self, value: u64) {
        #[cfg(bpf_target_arch = "x86_64")]
        // SAFETY: one store to eight aligned bytes of ours. This architecture keeps the order of stores (Intel SDM
        // vol. 3A, 9.2.2); the assembly keeps the compiler to it.
        unsafe {
            core::arch::asm!("*(u64 *)({p} + 0) = {v}", p = in(reg) self.0.get(), v = in(reg) value, options(nostack));
        }
        #[cfg(all(target_arch = "bpf", not(bpf_target_arch = "x86_64")))]
        self.swap(value);
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().store(value, core::sync::atomic::Ordering::Release);
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

/// A number of 32 bits that one CPU writes to tell another that what it wrote before is there.
#[repr(transparent)]
pub struct Published(UnsafeCell<u32>);

// SAFETY: every access is one instruction.
unsafe impl Sync for Published {}

impl Published {
    /// The number now.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        // SAFETY: four aligned bytes of ours, read in one instruction. Reads behind it stay behind it on x86-64; an
        // object for another architecture needs a barrier here.
        #[cfg(target_arch = "bpf")]
        return unsafe { self.0.get().read_volatile() };
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().load(core::sync::atomic::Ordering::Acquire)
    }

    /// Makes it `value`, after everything that this CPU wrote before.
    #[inline(always)]
    pub fn set(&self, value: u32) {
        #[cfg(bpf_target_arch = "x86_64")]
        // SAFETY: as in `Shared::publish`, four bytes.
        unsafe {
            core::arch::asm!("*(u32 *)({p} + 0) = {v}", p = in(reg) self.0.get(), v = in(reg) u64::from(value), options(nostack));
        }
        #[cfg(all(target_arch = "bpf", not(bpf_target_arch = "x86_64")))]
        // SAFETY: one atomic instruction on four aligned bytes of ours.
        unsafe {
            core::arch::asm!("{v} = xchg32_32({p} + 0, {v})", p = in(reg) self.0.get(), v = inout(reg) u64::from(value) => _, options(nostack));
        }
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().store(value, core::sync::atomic::Ordering::Release);
    }

    #[cfg(not(target_arch = "bpf"))]
    fn atomic(&self) -> &core::sync::atomic::AtomicU32 {
        // SAFETY: same size and alignment, and never accessed otherwise.
        unsafe { core::sync::atomic::AtomicU32::from_ptr(self.0.get()) }
    }
}

/// A fact that becomes true once, told by one CPU, seen by others some time later.
#[repr(transparent)]
pub struct Flag(UnsafeCell<u8>);

// SAFETY: every access is one instruction.
unsafe impl Sync for Flag {}

impl Flag {
    /// Whether it has become true.
    #[inline(always)]
    pub fn is_set(&self) -> bool {
        #[cfg(target_arch = "bpf")]
        // SAFETY: one byte of ours.
        return unsafe { self.0.get().read_volatile() } != 0;
        #[cfg(not(target_arch = "bpf"))]
        return self.atomic().load(core::sync::atomic::Ordering::Relaxed) != 0;
    }

    /// Makes it true.
    #[inline(always)]
    pub fn set(&self) {
        #[cfg(target_arch = "bpf")]
        // SAFETY: one byte of ours.
        unsafe {
            self.0.get().write_volatile(1)
        };
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().store(1, core::sync::atomic::Ordering::Relaxed);
    }

    #[cfg(not(target_arch = "bpf"))]
    fn atomic(&self) -> &core::sync::atomic::AtomicU8 {
        // SAFETY: same size and alignment, and never accessed otherwise.
        unsafe { core::sync::atomic::AtomicU8::from_ptr(self.0.get()) }
    }
}
