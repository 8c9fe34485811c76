//! Scans of a made-up /proc, and of the real one.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;

use super::*;

/// A /proc with the processes that a test puts in.
struct Proc(tempfile::TempDir);

impl Proc {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Adds a process with these sockets in this network namespace, whose table is `tcp`.
    fn process(&self, pid: u32, comm: &str, namespace: &str, sockets: &[u64], tcp: &str) -> &Self {
        let dir = self.0.path().join(pid.to_string());
        for sub in ["fd", "ns", "net"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        fs::write(dir.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(dir.join("net/tcp"), format!("  sl  local_address …\n{tcp}")).unwrap();
        symlink(namespace, dir.join("ns/net")).unwrap();
        for (fd, inode) in sockets.iter().enumerate() {
            symlink(format!("socket:[{inode}]"), dir.join("fd").join(fd.to_string())).unwrap();
        }
        self
    }

    fn remove(&self, pid: u32) {
        fs::remove_dir_all(self.0.path().join(pid.to_string())).unwrap();
    }

    fn scan(&self) -> Scan {
        Scan::new(self.0.path().to_owned(), None)
    }
}

fn listening(port: u16, inode: u64) -> String {
    format!(
        "   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0\n"
    )
}

fn names(owners: &Owners) -> Vec<(u16, &str)> {
    let mut names: Vec<_> = owners.listeners.iter().map(|(port, name)| (*port, &**name)).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_socket_that_workers_share_belongs_to_their_parent_and_never_to_init() {
    let proc = Proc::new();
    let table = listening(80, 7);
    for (pid, comm) in [(1, "systemd"), (20, "worker"), (10, "nginx")] {
        proc.process(pid, comm, "net:[1]", &[7], &table);
    }
    assert_eq!(names(&proc.scan().first()), [(80, "nginx")]);
}

#[test]
fn containers_have_tables_of_their_own() {
    let proc = Proc::new();
    proc.process(5, "inside", "net:[2]", &[7], &(listening(80, 7) + &listening(81, 8)));
    proc.process(6, "sidecar", "net:[2]", &[8], "");
    proc.process(9, "host", "net:[1]", &[9], &listening(80, 9));
    symlink("9", proc.0.path().join("self")).unwrap();
    assert_eq!(names(&proc.scan().first()), [(80, "host"), (81, "sidecar")]);
}

#[test]
fn a_port_taken_over_by_another_program_is_noticed() {
    let proc = Proc::new();
    let mut scan = proc.scan();
    proc.process(5, "old", "net:[1]", &[7], &listening(80, 7));
    assert_eq!(names(&scan.first()), [(80, "old")]);
    proc.remove(5);
    proc.process(6, "new", "net:[1]", &[8], &listening(80, 8));
    assert_eq!(names(&scan.again()), [(80, "new")]);
    proc.remove(6);
    assert_eq!(names(&scan.again()), []);
}

#[test]
fn the_real_proc_tells_who_listens_and_who_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();

    let owners = Scan::new("/proc".into(), None).first();
    let me: Arc<str> = process::name(Path::new("/proc"), std::process::id()).unwrap().into();
    assert_eq!(owners.listeners.get(&port), Some(&me));
    let localhost = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    assert_eq!(owners.connections.get(&(client.local_addr().unwrap().port(), localhost, port)), Some(&me));
}
