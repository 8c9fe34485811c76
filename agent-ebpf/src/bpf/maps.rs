//! The maps, and the values that the loader sets.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock};
use aya_ebpf::btf_maps::{PerCpuArray, RingBuf, SkStorage};
use aya_ebpf::helpers::generated::bpf_sk_storage_get;
use aya_ebpf::macros::btf_map;
use hosp_agent_ebpf::conn::Conn;
use hosp_agent_ebpf::machine::Scratch;
use hosp_agent_ebpf::shared::Shared;
use hosp_agent_ebpf::stash::{Held, Stash};
use hosp_agent_ebpf::{COUNTERS, RecordHead};

use crate::run::Turn;

/// Runs that can be under way on one CPU at once: a program in process context can be interrupted by a soft
/// interrupt, and on a preemptible kernel by another process, each of which may run a program too.
const DESKS: usize = 4;

/// What is known of each connection; dies with its socket.
#[btf_map]
static CONNS: SkStorage<Conn> = SkStorage::new();

/// Records on their way to userspace. The loader sets its size.
#[btf_map]
pub static RECORDS: RingBuf<RecordHead, { 16 * 1024 * 1024 }> = RingBuf::new();

/// The kernel's own books, see `hosp_agent_ebpf::Counter`.
#[btf_map]
pub static BOOKS: PerCpuArray<[Shared; COUNTERS as usize], 1> = PerCpuArray::new();

/// Memory for the runs under way on this CPU.
#[btf_map]
static DESKS_OF_CPU: PerCpuArray<Desk, DESKS> = PerCpuArray::new();

/// Segments that came before their turn; there is none for most connections.
#[btf_map]
static STASHES: SkStorage<Stash> = SkStorage::new();

/// Data that came with the packet that completes a handshake.
#[btf_map]
static EARLY: PerCpuArray<EarlyPlace, 1> = PerCpuArray::new();

/// Bytes of unread records from which on userspace is woken; below, it comes by itself.
#[unsafe(no_mangle)]
static WAKE_BYTES: u64 = 1024 * 1024;

/// Ports on which the observer itself listens, 0 for none.
#[unsafe(no_mangle)]
static OWN_PORTS: [u16; 4] = [0; 4];

/// Ports whose connections are observed, 0 for none: all, when there is none.
#[unsafe(no_mangle)]
static PORTS: [u16; MAX_PORTS] = [0; MAX_PORTS];

/// The network namespace in which the observer listens, as `SO_NETNS_COOKIE` tells it.
#[unsafe(no_mangle)]
static OWN_NETNS: u64 = 0;

/// A segment that came to a listening socket, on its way to the connection that it completes: the kernel makes that
/// one next, on the same CPU.
#[repr(C)]
pub struct EarlyPlace {
    /// Port of the sender.
    pub source: u64,
    /// The segment.
    pub held: Held,
}

/// Ports that can be chosen.
const MAX_PORTS: usize = 16;

/// Memory for one run.
#[repr(C)]
pub struct Desk {
    taken: Shared,
    /// What the run does next.
    pub turn: Turn,
    /// What the state machine works in.
    pub scratch: Scratch,
}

/// Bytes of unread records from which on userspace is woken.
#[inline(always)]
pub fn wake_bytes() -> u64 {
    // SAFETY: a static; volatile, because the loader writes over its value.
    unsafe { core::ptr::read_volatile(&raw const WAKE_BYTES) }
}

/// Whether the observer itself listens on `port` of the network namespace `netns`.
#[inline(always)]
pub fn is_own(port: u16, netns: u64) -> bool {
    // SAFETY: statics; volatile, because the loader writes over their values.
    let (ports, own) = unsafe {
        (core::ptr::read_volatile(&raw const OWN_PORTS), core::ptr::read_volatile(&raw const OWN_NETNS))
    };
    port != 0
        && netns == own
        && (ports[0] == port || ports[1] == port || ports[2] == port || ports[3] == port)
}

/// Whether connections to `port` are observed.
#[inline(always)]
pub fn is_chosen(port: u16) -> bool {
    // SAFETY: a static; volatile, because the loader writes over its value.
    let ports = unsafe { core::ptr::read_volatile(&raw const PORTS) };
    let mut chosen = ports[0] == 0;
    let mut n = 0;
    while n < MAX_PORTS {
        chosen |= ports[n] == port;
        n += 1;
    }
    chosen
}

/// What is known of the connection of `sk`; null when nothing is.
///
/// # Safety
/// `sk` is a socket that the verifier knows as such, and not null.
#[inline(always)]
pub unsafe fn conn(sk: *mut bpf_sock) -> *mut Conn {
    // SAFETY: the caller vouches for `sk`; a null value asks for no change.
    unsafe { bpf_sk_storage_get((&raw const CONNS).cast_mut().cast(), sk.cast(), core::ptr::null_mut(), 0) }
        .cast()
}

/// What is known of the connection of `sk`, all zeros when it is new; null when there is no memory.
///
/// # Safety
/// As for [`conn`].
#[inline(always)]
pub unsafe fn conn_or_new(sk: *mut bpf_sock) -> *mut Conn {
    let create = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
    // SAFETY: the caller vouches for `sk`; a null value asks for zeros.
    unsafe {
        bpf_sk_storage_get((&raw const CONNS).cast_mut().cast(), sk.cast(), core::ptr::null_mut(), create)
    }
    .cast()
}

/// The segments of `sk` that came before their turn; null when there are none, or no memory for them.
///
/// # Safety
/// As for [`conn`].
#[inline(always)]
pub unsafe fn stash(sk: *mut bpf_sock, create: bool) -> *mut Stash {
    let flags = if create { u64::from(BPF_SK_STORAGE_GET_F_CREATE) } else { 0 };
    // SAFETY: the caller vouches for `sk`; a null value asks for zeros.
    unsafe {
        bpf_sk_storage_get((&raw const STASHES).cast_mut().cast(), sk.cast(), core::ptr::null_mut(), flags)
    }
    .cast()
}

/// This CPU's place for early data; never null in truth.
#[inline(always)]
pub fn early() -> *mut EarlyPlace {
    EARLY.get_ptr_mut(0).map_or(core::ptr::null_mut(), |early| early)
}

/// Takes memory for a run; null when more runs than expected are under way on this CPU.
#[inline(always)]
pub fn take_desk() -> *mut Desk {
    let mut n = 0;
    while n < DESKS as u32 {
        if let Some(desk) = DESKS_OF_CPU.get_ptr_mut(n) {
            // SAFETY: a value of the map, and only its atomic is touched.
            if unsafe { (*desk).taken.swap(1) } == 0 {
                return desk;
            }
        }
        n += 1;
    }
    core::ptr::null_mut()
}

/// Gives memory back.
///
/// # Safety
/// `desk` is from [`take_desk`] and not null.
#[inline(always)]
pub unsafe fn give_back(desk: *mut Desk) {
    // SAFETY: the caller vouches for it.
    unsafe { (*desk).taken.publish(0) };
}

/// The ring buffer, as helpers want it.
#[inline(always)]
pub fn records() -> *mut c_void {
    (&raw const RECORDS).cast_mut().cast()
}
