//! The program itself, as a process of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The file that was built.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hosp-proxy");

pub(crate) fn program() -> Command {
    program_at(PROGRAM)
}

pub(crate) fn program_at(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

/// A running program, killed when the test ends before it does.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// Of the processes that took its place.
    successors: Vec<u32>,
    log: BufReader<std::process::ChildStderr>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(program().args(args))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let line = line_with(&mut log, "listening address=");
        let (_, rest) = line.split_once("address=").unwrap();
        let address = rest.split_whitespace().next().unwrap().parse().unwrap();
        Self { child, address, successors: Vec::new(), log }
    }

    /// The next message with this part.
    pub(crate) fn told(&mut self, part: &str) -> String {
        line_with(&mut self.log, part)
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// The process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.successors.last().copied().unwrap_or_else(|| self.child.id())
    }

    /// Has the program start itself anew; the process that served until then.
    pub(crate) fn replace(&mut self) -> u32 {
        let old = self.pid();
        self.signal("USR2");
        let line = self.told("handed over");
        let (_, pid) = line.trim().rsplit_once("pid=").unwrap();
        self.successors.push(pid.parse().unwrap());
        old
    }

    pub(crate) fn end(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap();
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (code, rest)
    }
}

fn line_with(log: &mut impl BufRead, part: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended without a word of {part:?}");
        if line.contains(part) {
            return line;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in &self.successors {
            if is_alive(*pid) {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the process still runs; one that has ended and that nobody has asked for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
