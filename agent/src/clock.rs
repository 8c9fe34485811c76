//! The kernel's monotonic clock, the wall clock, and what the agent itself costs.

use hosp_feed::Cost;
use rustix::time::{ClockId, Timespec, clock_gettime};

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Wall-clock time in nanoseconds since 1970-01-01T00:00:00Z.
pub fn unix_ns() -> u64 {
    nanos(clock_gettime(ClockId::Realtime))
}

/// Wall-clock time at which the monotonic clock, by which the kernel dates records, stood at 0. Looked up for
/// every interval, because the wall clock may be set.
pub fn boot_unix_ns() -> u64 {
    unix_ns().saturating_sub(nanos(clock_gettime(ClockId::Monotonic)))
}

/// CPU time and memory of this process so far.
pub fn cost() -> Cost {
    let cpu = nanos(clock_gettime(ClockId::ProcessCPUTime));
    let resident =
        procfs::process::Process::myself().and_then(|me| me.statm()).map_or(0, |statm| statm.resident);
    Cost {
        agent_cpu_seconds: cpu as f64 / 1e9,
        agent_rss_bytes: resident * procfs::page_size(),
        programs: Vec::new(),
    }
}
