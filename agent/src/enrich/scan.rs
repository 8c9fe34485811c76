//! Finds out which process owns which socket: the table of sockets gives inodes, each process's descriptors name them.
//!
//! Walking every descriptor of every process takes tens of milliseconds on a busy host, so this runs on a thread
//! of its own ([`super::scanner`]), and walks only when a listening socket is new.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cgroups;
use super::process;
use super::table::{self, State, Want};

/// A connection as one end of it sees it: the local port, and address and port of the other end.
pub(super) type Connection = (u16, [u8; 16], u16);

/// Most connections remembered from the first scan.
const MAX_CONNECTIONS: usize = 32 * 1024;

/// Who owns what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owners {
    /// Name of the process that listens on a port.
    pub(super) listeners: HashMap<u16, Arc<str>>,
    /// Name of the process that opened a connection; only in the first scan, for connections that are older
    /// than the observer.
    pub(super) connections: HashMap<Connection, Arc<str>>,
    /// Unit or container of every cgroup, by the inode number of its directory.
    pub(super) units: HashMap<u64, Arc<str>>,
}

/// Scans /proc, remembering what it has found out about listening sockets.
#[derive(Debug)]
pub(super) struct Scan {
    proc: PathBuf,
    cgroups: Option<PathBuf>,
    names: HashMap<u64, Arc<str>>,
}

impl Scan {
    /// Scans the file system mounted at `proc`, and that of the cgroups if there is one.
    pub(super) fn new(proc: PathBuf, cgroups: Option<PathBuf>) -> Self {
        Self { proc, cgroups, names: HashMap::new() }
    }

    /// The first scan: listening sockets and established connections.
    pub(super) fn first(&mut self) -> Owners {
        self.scan(Want::All)
    }

    /// A later scan: listening sockets only.
    pub(super) fn again(&mut self) -> Owners {
        self.scan(Want::Listeners)
    }

    fn scan(&mut self, want: Want) -> Owners {
        let processes = processes(&self.proc);
        let mut listening: Vec<(u16, u64)> = Vec::new();
        let mut connected: HashMap<u64, Connection> = HashMap::new();
        for pid in one_of_each_namespace(&self.proc, &processes) {
            for file in ["net/tcp", "net/tcp6"] {
                let path = self.proc.join(pid.to_string()).join(file);
                // A process that has just ended, or a kernel without IPv6, leaves nothing to read.
                let _ = table::read(&path, want, &mut |socket| match socket.state {
                    State::Listen => listening.push((socket.local_port, socket.inode)),
                    State::Established if connected.len() < MAX_CONNECTIONS => {
                        let key = (socket.local_port, socket.remote_addr, socket.remote_port);
                        connected.insert(socket.inode, key);
                    }
                    State::Established | State::Other => {}
                });
            }
        }
        let mut unnamed: HashSet<u64> = listening.iter().map(|(_, inode)| *inode).collect();
        self.names.retain(|inode, _| unnamed.remove(inode));
        let mut owners = Owners::default();
        if !connected.is_empty() || !unnamed.is_empty() {
            self.walk(&processes, unnamed, &connected, &mut owners);
        }
        for (port, inode) in listening {
            if let Some(name) = self.names.get(&inode) {
                // The agent's own namespace is read first, and its sockets win.
                owners.listeners.entry(port).or_insert_with(|| name.clone());
            }
        }
        owners.units = self.cgroups.as_deref().map(cgroups::walk).unwrap_or_default();
        owners
    }

    /// Looks through the descriptors of all processes for sockets whose owner is not known yet.
    fn walk(
        &mut self,
        processes: &[u32],
        mut unnamed: HashSet<u64>,
        connected: &HashMap<u64, Connection>,
        owners: &mut Owners,
    ) {
        for &pid in processes {
            let Ok(descriptors) = fs::read_dir(self.proc.join(pid.to_string()).join("fd")) else { continue };
            let mut name: Option<Arc<str>> = None;
            for descriptor in descriptors.flatten() {
                let Some(inode) = socket_inode(&descriptor.path()) else { continue };
                let connection = connected.get(&inode);
                if connection.is_none() && !unnamed.contains(&inode) {
                    continue;
                }
                if name.is_none() {
                    name = process::name(&self.proc, pid).map(Into::into);
                }
                let Some(name) = &name else { break };
                if unnamed.remove(&inode) {
                    self.names.insert(inode, name.clone());
                } else if let Some(connection) = connection {
                    owners.connections.entry(*connection).or_insert_with(|| name.clone());
                }
            }
        }
    }
}

/// Every process, in the order in which a socket that several share is attributed: by number, since parents come
/// before their workers; but init last, because under socket activation it holds every service's socket too.
fn processes(proc: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let mut pids: Vec<u32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by_key(|&pid| (pid == 1, pid));
    pids
}

/// One process in each network namespace, the agent's own namespace first.
fn one_of_each_namespace(proc: &Path, processes: &[u32]) -> Vec<u32> {
    let namespace = |pid: &str| fs::read_link(proc.join(pid).join("ns/net")).ok();
    let own = namespace("self");
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for &pid in processes {
        if let Some(namespace) = namespace(&pid.to_string())
            && !seen.contains(&namespace)
        {
            let place = if own.as_ref() == Some(&namespace) { 0 } else { found.len() };
            found.insert(place, pid);
            seen.push(namespace);
        }
    }
    found
}

/// The inode behind a descriptor that is a socket.
fn socket_inode(descriptor: &Path) -> Option<u64> {
    let target = fs::read_link(descriptor).ok()?;
    inode_of(target.as_os_str())
}

/// `socket:[12345]`
fn inode_of(target: &OsStr) -> Option<u64> {
    let digits = target.as_bytes().strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
