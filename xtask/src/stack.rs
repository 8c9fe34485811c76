//! Origin, agent, proxy and load generator running together: what each is started with, how each is killed and
//! started again, and that none outlives whoever started them.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::artifacts::{Program, Programs};
use crate::cgroup::Cgroup;
use crate::child::{Launch, Running};
use crate::endpoint::{AskError, Endpoint};
use crate::load::{Failure, LoadReport};
use crate::{poll, ports};

mod settings;

pub use settings::{Admin, LOAD, ORIGIN, PROXY, Scope, Settings};

/// How long a program may take from its start to its first answer.
const READY: Duration = Duration::from_secs(20);
/// How long a program may take to end when told to.
const GRACE: Duration = Duration::from_secs(5);
/// A program that keeps dying is not started more often than this.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Lines of its log shown when a program has died.
const TAIL: usize = 15;

/// A part in the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The server that fails.
    Origin,
    /// hosp-agent.
    Agent,
    /// hosp-proxy.
    Proxy,
    /// The clients.
    Load,
}

impl Role {
    /// The program that plays it.
    pub const fn program(self) -> Program {
        match self {
            Self::Origin => Program::DemoOrigin,
            Self::Agent => Program::Agent,
            Self::Proxy => Program::Proxy,
            Self::Load => Program::DemoLoad,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program().name())
    }
}

/// All processes of one stack.
#[derive(Debug)]
pub struct Stack {
    children: Vec<Member>,
    // Removed after the processes in it have ended: fields drop in this order.
    cgroup: Option<Cgroup>,
    dir: TempDir,
    programs: Programs,
    settings: Settings,
    /// Where the proxy serves, the origin serves, and the agent's metrics are.
    proxy: SocketAddr,
    origin: SocketAddr,
    metrics: SocketAddr,
    /// Where the proxy tells of itself, if that is on TCP.
    admin: SocketAddr,
    /// How long the load generator sends; `None` for until it is told to end.
    load_seconds: Option<u32>,
}

#[derive(Debug)]
struct Member {
    role: Role,
    process: Running,
    since: Instant,
}

impl Stack {
    /// Starts origin, agent and proxy, in this order, each when the one before it answers. `name` is that of its
    /// folder and its cgroup.
    pub fn start(name: &str, settings: Settings, programs: Programs) -> anyhow::Result<Self> {
        let mut dir = tempfile::Builder::new()
            .prefix(&format!("hosp-{name}-"))
            .tempdir()
            .context("no temporary folder")?;
        if settings.keep {
            dir.disable_cleanup(true);
            eprintln!("    sockets and logs: {}", dir.path().display());
        }
        let cgroup = Cgroup::create(name);
        if let Err(error) = &cgroup {
            eprintln!("    {error}; observing the whole host instead");
        }
        let [proxy, origin, metrics, admin] = ports::free().context("no ports")?;
        let mut stack = Self {
            children: Vec::new(),
            cgroup: cgroup.ok(),
            dir,
            programs,
            settings,
            proxy,
            origin,
            metrics,
            admin,
            load_seconds: None,
        };
        for role in [Role::Origin, Role::Agent, Role::Proxy] {
            stack.launch(role)?;
            stack.wait_ready(role)?;
        }
        Ok(stack)
    }

    /// Starts the load generator; without `seconds` it sends until [`Stack::end_load`].
    pub fn start_load(&mut self, seconds: Option<u32>) -> anyhow::Result<()> {
        self.children.retain(|member| member.role != Role::Load);
        self.load_seconds = seconds;
        self.launch(Role::Load)
    }

    /// The requests that the load generator has seen fail so far.
    pub fn failures(&self) -> anyhow::Result<Vec<Failure>> {
        let path = self.failures_path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        // What follows the last line's end is still being written.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).context("demo-load's failures")).collect()
    }

    /// Tells the load generator to end, waits for its last requests, and returns its report.
    pub fn end_load(&mut self, within: Duration) -> anyhow::Result<LoadReport> {
        let load = self.member(Role::Load).context("no load was started")?;
        load.process.terminate();
        poll::until("the load generator ends", within, || self.load_report().transpose())?
    }

    /// What the load generator reports, once it has ended.
    pub fn load_report(&mut self) -> anyhow::Result<Option<LoadReport>> {
        let load = self.member(Role::Load).context("no load was started")?;
        match load.process.ended() {
            None => return Ok(None),
            Some(status) => ensure!(status.success(), "demo-load failed ({status})"),
        }
        let path = self.load_path();
        let json = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(serde_json::from_slice(&json).context("demo-load's report")?))
    }

    /// An error when a process has died that should be running (the load generator may end well).
    pub fn check(&mut self) -> anyhow::Result<()> {
        for Member { role, process, .. } in &mut self.children {
            match process.ended() {
                None => {}
                Some(status) if *role == Role::Load && status.success() => {}
                Some(status) => {
                    bail!("{role} has died ({status}); its last words:\n{}", process.log_tail(TAIL))
                }
            }
        }
        Ok(())
    }

    /// Starts again what has died, but nothing more often than once a second; the names of what was.
    pub fn revive(&mut self) -> anyhow::Result<Vec<Role>> {
        let dead =
            |member: &mut Member| member.since.elapsed() >= RESTART_PAUSE && member.process.ended().is_some();
        let dead: Vec<Role> = self.children.extract_if(.., dead).map(|member| member.role).collect();
        for &role in &dead {
            self.launch(role)?;
        }
        Ok(dead)
    }

    /// Kills a process (SIGKILL), as a crash does. It stays away until [`Stack::restart`].
    pub fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        let member = self.member(role).with_context(|| format!("{role} does not run"))?;
        member.process.kill().with_context(|| format!("{role} cannot be killed"))?;
        self.children.retain(|member| member.role != role);
        Ok(())
    }

    /// Starts a process that was killed, with the same arguments, and waits until it answers.
    pub fn restart(&mut self, role: Role) -> anyhow::Result<()> {
        self.launch(role)?;
        self.wait_ready(role)
    }

    /// The agent's feed.
    pub fn feed(&self) -> Endpoint {
        Endpoint::Unix(self.socket(Role::Agent))
    }

    /// The agent's metrics.
    pub fn agent_metrics(&self) -> Endpoint {
        Endpoint::Tcp(self.metrics)
    }

    /// The proxy's admin interface.
    pub fn proxy_admin(&self) -> Endpoint {
        match self.settings.admin {
            Admin::Unix => Endpoint::Unix(self.socket(Role::Proxy)),
            Admin::Tcp => Endpoint::Tcp(self.admin),
        }
    }

    /// The origin's admin socket.
    pub fn origin_admin(&self) -> Endpoint {
        Endpoint::Unix(self.socket(Role::Origin))
    }

    /// Which of the agent's series are about this stack.
    pub fn scope(&self) -> Scope {
        Scope { proxy_port: self.proxy.port(), origin_port: self.origin.port() }
    }

    /// The proxy's process group.
    pub fn proxy_pid(&self) -> Option<u32> {
        self.children.iter().find(|member| member.role == Role::Proxy).map(|member| member.process.pid())
    }

    /// The folder with its sockets and logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The cgroup that its processes are in; `None` where they could not have one of their own.
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// Where hosp-tui lies.
    pub fn tui(&self) -> PathBuf {
        self.programs.path(Program::Tui).to_path_buf()
    }

    fn launch(&mut self, role: Role) -> anyhow::Result<()> {
        let log = self.dir.path().join(format!("{role}.log"));
        let process = Launch::new(&role.to_string(), self.programs.path(role.program()))
            .args(self.arguments(role))
            .log(&log)
            .cgroup(self.cgroup.as_ref())
            .spawn()?;
        self.children.push(Member { role, process, since: Instant::now() });
        Ok(())
    }

    fn arguments(&self, role: Role) -> Vec<String> {
        let Settings { seed, rate, time_scale, .. } = self.settings;
        let socket = self.socket(role).display().to_string();
        let mut arguments = match role {
            Role::Origin => vec![
                format!("--listen={}", self.origin),
                format!("--admin={socket}"),
                format!("--seed={seed}"),
                format!("--time-scale={}", time_scale),
            ],
            Role::Agent => vec![
                format!("--metrics-listen={}", self.metrics),
                format!("--feed=unix:{socket}"),
                format!("--proxy={}", self.proxy_admin()),
                "--bpf-stats".to_owned(),
            ],
            Role::Proxy => vec![
                format!("--listen={}", self.proxy),
                format!("--origin=http://{}", self.origin),
                format!("--admin={}", self.proxy_admin()),
            ],
            Role::Load => vec![
                format!("--target={}", self.proxy),
                format!("--rate={rate}"),
                format!("--seed={seed}"),
                format!("--report={}", self.load_path().display()),
                format!("--failures={}", self.failures_path().display()),
            ],
        };
        if role == Role::Origin && !self.settings.faults {
            arguments.extend(["--errors=0".to_owned(), "--resets=0".to_owned()]);
        }
        match (role, &self.cgroup, self.load_seconds) {
            (Role::Agent, Some(cgroup), _) => arguments.push(format!("--cgroup={}", cgroup.path().display())),
            (Role::Load, _, Some(seconds)) => arguments.push(format!("--seconds={seconds}")),
            _ => {}
        }
        arguments
    }

    fn wait_ready(&mut self, role: Role) -> anyhow::Result<()> {
        let (endpoint, path) = match role {
            Role::Origin => (self.origin_admin(), "/__counts"),
            Role::Agent => (self.feed(), "/v1/snapshot"),
            Role::Proxy => (self.proxy_admin(), "/readyz"),
            Role::Load => return Ok(()),
        };
        let mut last: Option<AskError> = None;
        let ready = poll::until(&format!("{role} answers"), READY, || {
            if let Err(died) = self.check() {
                return Some(Err(died));
            }
            endpoint.get(path).map_err(|error| last = Some(error)).ok().map(|_| Ok(()))
        });
        match (ready, last) {
            (Ok(done), _) => done,
            (Err(late), Some(error)) => bail!("{late}: {error}"),
            (Err(late), None) => bail!(late),
        }
    }

    fn socket(&self, role: Role) -> PathBuf {
        self.dir.path().join(format!("{role}.sock"))
    }

    fn member(&mut self, role: Role) -> Option<&mut Member> {
        self.children.iter_mut().find(|member| member.role == role)
    }

    fn failures_path(&self) -> PathBuf {
        self.dir.path().join("failures.jsonl")
    }

    fn load_path(&self) -> PathBuf {
        self.dir.path().join("load.json")
    }
}

impl Drop for Stack {
    /// Ends everybody in the order in which nobody misses the other: clients first.
    fn drop(&mut self) {
        for role in [Role::Load, Role::Proxy, Role::Agent, Role::Origin] {
            for member in self.children.iter_mut().filter(|member| member.role == role) {
                member.process.stop(if role == Role::Load { Duration::ZERO } else { GRACE });
            }
        }
    }
}
