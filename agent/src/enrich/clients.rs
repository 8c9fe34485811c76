//! Client leg: the name of the process that opened a connection.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hosp_agent_ebpf::Record;

use super::process;
use super::scan::Connection;
use crate::names::{NameId, Names};

/// Name of a client that nothing is known about.
const UNKNOWN: &str = "unknown";

/// Age at which a process's name is read again: its number may be another's by now.
const STALE: Duration = Duration::from_secs(10);

/// Most processes remembered; beyond, all are forgotten and read again (a few microseconds each).
const MAX_PROCESSES: usize = 4096;

/// Names of connecting processes. Belongs to the owner.
#[derive(Debug)]
pub(super) struct Clients {
    proc: PathBuf,
    processes: HashMap<u32, (NameId, Instant), RandomState>,
    older: HashMap<Connection, Arc<str>>,
}

impl Clients {
    /// Reads names from the file system mounted at `proc`.
    pub(super) fn new(proc: PathBuf) -> Self {
        Self { proc, processes: HashMap::default(), older: HashMap::new() }
    }

    /// Remembers who opened the connections that are older than the observer.
    pub(super) fn learn(&mut self, connections: HashMap<Connection, Arc<str>>) {
        self.older = connections;
    }

    /// The process that opened the connection of `record`.
    pub(super) fn name(&mut self, record: &Record, now: Instant, names: &mut Names<Arc<str>>) -> NameId {
        if record.pid == 0 {
            let connection = (record.local_port, record.remote_addr, record.remote_port);
            return names.intern(self.older.get(&connection).map_or(UNKNOWN, |name| name));
        }
        if let Some(&(name, read)) = self.processes.get(&record.pid)
            && now.duration_since(read) < STALE
        {
            return name;
        }
        let name = match process::name(&self.proc, record.pid) {
            Some(name) => names.intern(&name),
            // Gone: what it was called while it was here, or what the kernel noted when it connected.
            None => match self.processes.get(&record.pid) {
                Some(&(name, _)) => name,
                None => names.intern(
                    process::sanitise(record.comm(), process::MAX_NAME).as_deref().unwrap_or(UNKNOWN),
                ),
            },
        };
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.clear();
        }
        self.processes.insert(record.pid, (name, now));
        name
    }
}
