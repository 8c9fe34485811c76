//! The customary `process_*` families, about the agent itself.
//!
//! The crate `prometheus` has a collector for them, but on an older `procfs` than the agent's; one is enough.

use procfs::process::Process;
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus::proto::MetricFamily;

use super::family::{counter, counters, gauge, gauges};
use crate::clock;

/// What can be read of this process. Empty where /proc cannot be read.
pub(super) fn families() -> Vec<MetricFamily> {
    read().unwrap_or_default()
}

fn read() -> ProcResult<Vec<MetricFamily>> {
    let me = Process::myself()?;
    let stat = me.stat()?;
    let memory = me.statm()?;
    let max_fds = match me.limits()?.max_open_files.soft_limit {
        procfs::process::LimitValue::Unlimited => f64::INFINITY,
        procfs::process::LimitValue::Value(limit) => limit as f64,
    };
    let started = boot_time_secs()? as f64 + stat.starttime as f64 / ticks_per_second() as f64;
    let one = |value: u64| vec![gauge(&[], value as f64)];
    Ok(vec![
        counters(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            vec![counter(&[], clock::cost().agent_cpu_seconds)],
        ),
        gauges(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            one(memory.resident * page_size()),
        ),
        gauges("process_virtual_memory_bytes", "Virtual memory size in bytes.", one(stat.vsize)),
        gauges("process_open_fds", "Number of open file descriptors.", one(me.fd_count()? as u64)),
        gauges("process_max_fds", "Maximum number of open file descriptors.", vec![gauge(&[], max_fds)]),
        gauges(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            vec![gauge(&[], started)],
        ),
        gauges(
            "process_threads",
            "Number of OS threads in the process.",
            one(u64::try_from(stat.num_threads).unwrap_or(0)),
        ),
    ])
}
