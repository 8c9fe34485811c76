//! Where records come from: the kernel in production, a script in tests.

use std::io;
use std::time::Duration;

use hosp_agent_ebpf::COUNTERS;
use hosp_feed::ProgramCost;

/// The kernel's counters, summed over the CPUs; see [`hosp_agent_ebpf::Counter::index`].
pub type Counters = [u64; COUNTERS as usize];

/// Gives out the kernel's records and counters. The owner of all state is the only one that calls it.
pub trait Source: Send {
    /// Sleeps until records are worth fetching (the ring's fill mark is passed), or for `timeout`.
    fn wait(&mut self, timeout: Duration) -> io::Result<()>;

    /// Hands the bytes of every record that has arrived to `each`, oldest first. Returns after at most as
    /// many records as the ring can hold, so that a busy kernel cannot keep its caller here.
    fn drain(&mut self, each: &mut dyn FnMut(&[u8]));

    /// The counters at this moment. A request is counted as seen before it is counted as recorded or lost.
    fn counters(&self) -> Counters;

    /// What the programs cost so far; empty unless the kernel's run statistics were asked for.
    fn program_costs(&self) -> Vec<ProgramCost>;
}
