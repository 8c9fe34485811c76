//! What a process group has cost so far: CPU time and memory.

use std::time::Duration;

use procfs::process::{Process, all_processes};

/// CPU time and memory of a process group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User plus system time of all its living processes, in steps of the clock tick (10 ms as a rule).
    pub cpu: Duration,
    /// The part of it that was spent in the kernel.
    pub system: Duration,
    /// Memory in bytes; what several processes share is divided among them (PSS), so that a master and its
    /// worker are not counted twice.
    pub memory: u64,
}

impl Usage {
    /// What the process group led by `leader` has used so far. Processes that vanish meanwhile are left out.
    pub fn of_group(leader: u32) -> procfs::ProcResult<Self> {
        let mut usage = Self::default();
        for process in all_processes()?.flatten() {
            let Ok(stat) = process.stat() else { continue };
            if u32::try_from(stat.pgrp).is_ok_and(|group| group == leader) {
                usage.cpu += ticks(stat.utime + stat.stime);
                usage.system += ticks(stat.stime);
                usage.memory += memory(&process).unwrap_or(0);
            }
        }
        Ok(usage)
    }
}

fn ticks(n: u64) -> Duration {
    Duration::from_secs_f64(n as f64 / procfs::ticks_per_second() as f64)
}

fn memory(process: &Process) -> Option<u64> {
    let rollup = process.smaps_rollup().ok()?;
    let pss = |map: &procfs::process::MemoryMap| map.extension.map.get("Pss").copied();
    Some(rollup.memory_map_rollup.iter().filter_map(pss).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Launch;
    use crate::poll;

    #[test]
    fn cpu_time_of_a_childs_child_counts() {
        let script = "while :; do :; done & wait";
        let child = Launch::new("busy", "sh").args(["-c", script]).spawn().unwrap();
        let used = poll::until("some CPU time", Duration::from_secs(20), || {
            let usage = Usage::of_group(child.pid()).unwrap();
            (usage.cpu >= Duration::from_millis(50)).then_some(usage)
        });
        assert!(used.unwrap().memory > 0);
    }
}
