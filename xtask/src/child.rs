//! Child processes that never outlive the command that started them.
//!
//! Each child leads a process group of its own and is told to end when its parent dies
//! (`PR_SET_PDEATHSIG`), so that neither a panic nor `kill -9` of the parent leaves servers behind.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::cgroup::Cgroup;
use crate::poll;

/// What to start, and how.
#[derive(Debug)]
pub struct Launch<'a> {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    log: Option<&'a Path>,
    core: Option<usize>,
    cgroup: Option<&'a Cgroup>,
    terminal: bool,
}

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {name} ({}): {source}", program.display())]
pub struct LaunchError {
    /// What it is called here.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl<'a> Launch<'a> {
    /// `program` without arguments, its output thrown away.
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            log: None,
            core: None,
            cgroup: None,
            terminal: false,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Appends what it prints to a file.
    #[must_use]
    pub fn log(mut self, path: &'a Path) -> Self {
        self.log = Some(path);
        self
    }

    /// Lets it run on one CPU core only.
    #[must_use]
    pub fn core(mut self, core: usize) -> Self {
        self.core = Some(core);
        self
    }

    /// Moves it into a cgroup before it runs, so that each of its sockets belongs there.
    #[must_use]
    pub fn cgroup(mut self, cgroup: Option<&'a Cgroup>) -> Self {
        self.cgroup = cgroup;
        self
    }

    /// Gives it this command's terminal. It stays in this command's process group then, because a terminal
    /// stops every group but the one in front.
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// Starts it. To be called from a thread that lives as long as the child should: the kernel sends the
    /// death signal when the *thread* that started the child ends.
    pub fn spawn(self) -> Result<Running, LaunchError> {
        self.command()
            .and_then(|mut command| command.spawn())
            .map(|child| Running {
                name: self.name.clone(),
                child,
                log: self.log.map(Path::to_path_buf),
                leads_group: !self.terminal,
            })
            .map_err(|source| LaunchError { name: self.name, program: self.program, source })
    }

    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        if !self.terminal {
            command.stdin(Stdio::null()).process_group(0);
            match self.log {
                Some(path) => {
                    let log = OpenOptions::new().create(true).append(true).open(path)?;
                    command.stdout(log.try_clone()?).stderr(log);
                }
                None => {
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                }
            }
        }
        let procs = self.cgroup.map(Cgroup::procs).transpose()?;
        let core = self.core;
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; `settle` makes bare system
        // calls and neither allocates nor locks.
        unsafe { command.pre_exec(move || settle(parent, procs.as_ref(), core)) };
        Ok(command)
    }
}

/// Prepares the child, between fork and exec.
fn settle(parent: Pid, procs: Option<&File>, core: Option<usize>) -> io::Result<()> {
    // SIGTERM rather than SIGKILL: a master process told to end takes its workers along.
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    if rustix::process::getppid() != Some(parent) {
        return Err(io::ErrorKind::BrokenPipe.into()); // the parent died before the line above
    }
    if let Some(mut procs) = procs {
        procs.write_all(b"0")?;
    }
    if let Some(core) = core {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core);
        rustix::thread::sched_setaffinity(None, &cores)?;
    }
    Ok(())
}

/// A child that runs, or ran. Dropping it kills it and all of its group.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: Option<PathBuf>,
    leads_group: bool,
}

impl Running {
    /// What it is called here.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, which is also that of its process group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for it to end by itself; `None` when it has not within that time.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        poll::until(&self.name.clone(), within, || self.ended()).ok()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end, and kills it when it has not within `grace`.
    pub fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        if self.ended().is_none() {
            self.terminate();
        }
        let ended = self.wait(grace);
        self.signal(Signal::KILL);
        ended.or_else(|| self.child.wait().ok())
    }

    /// Kills it and its group (SIGKILL), as a crash does: it cleans nothing up.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::KILL);
        self.child.wait().ok()
    }

    /// The last `lines` lines that it printed.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Sends a signal to the child and its group. The kernel gives no process id out again while a group is
    /// named by it, so that children which outlive the group's leader are still reached.
    fn signal(&self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) else { return };
        // An error means that there is nobody left to tell.
        let _ = match self.leads_group {
            true => rustix::process::kill_process_group(pid, signal),
            false => rustix::process::kill_process(pid, signal),
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.leads_group || self.ended().is_none() {
            self.signal(Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
