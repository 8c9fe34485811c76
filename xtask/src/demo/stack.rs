//! The demo's processes: what each is started with, and that none outlives the demo.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use xtask::cgroup::Cgroup;
use xtask::child::{Launch, Running};
use xtask::endpoint::{AskError, Endpoint};
use xtask::load::LoadReport;
use xtask::{poll, ports};

use super::Options;
use super::evidence::Scope;
use crate::artifacts::{Program, Programs};

/// How long a program may take from its start to its first answer.
const READY: Duration = Duration::from_secs(20);
/// How long a program may take to end when told to.
const GRACE: Duration = Duration::from_secs(5);
/// A program that keeps dying is not started more often than this.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Lines of its log shown when a program has died.
const TAIL: usize = 15;

/// A part in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Origin,
    Agent,
    Proxy,
    Load,
}

impl Role {
    const fn program(self) -> Program {
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

/// All processes of one demo.
#[derive(Debug)]
pub(super) struct Stack {
    children: Vec<Member>,
    // Removed after the processes in it have ended: fields drop in this order.
    cgroup: Option<Cgroup>,
    dir: TempDir,
    programs: Programs,
    options: Options,
    /// Where the proxy serves, the origin serves, and the agent's metrics are.
    proxy: SocketAddr,
    origin: SocketAddr,
    metrics: SocketAddr,
    /// How long the load generator sends; `None` for as long as the demo runs.
    load_seconds: Option<u32>,
}

#[derive(Debug)]
struct Member {
    role: Role,
    process: Running,
    since: Instant,
}

impl Stack {
    /// Starts origin, agent and proxy, in this order, each when the one before it answers.
    pub(super) fn start(options: &Options, programs: Programs) -> anyhow::Result<Self> {
        let mut dir =
            tempfile::Builder::new().prefix("hosp-demo-").tempdir().context("no temporary folder")?;
        if options.keep {
            dir.disable_cleanup(true);
            eprintln!("    sockets and logs: {}", dir.path().display());
        }
        let cgroup = Cgroup::create("demo");
        if let Err(error) = &cgroup {
            eprintln!("    {error}; observing the whole host instead");
        }
        let [proxy, origin, metrics] = ports::free().context("no ports for the demo")?;
        let mut stack = Self {
            children: Vec::new(),
            cgroup: cgroup.ok(),
            dir,
            programs,
            options: options.clone(),
            proxy,
            origin,
            metrics,
            load_seconds: None,
        };
        for role in [Role::Origin, Role::Agent, Role::Proxy] {
            stack.launch(role)?;
            stack.wait_ready(role)?;
        }
        Ok(stack)
    }

    /// Starts the load generator.
    pub(super) fn start_load(&mut self, seconds: Option<u32>) -> anyhow::Result<()> {
        self.load_seconds = seconds;
        self.launch(Role::Load)
    }

    /// What the load generator reports, once it has ended.
    pub(super) fn load_report(&mut self) -> anyhow::Result<Option<LoadReport>> {
        let load = self
            .children
            .iter_mut()
            .find(|member| member.role == Role::Load)
            .context("no load was started")?;
        if load.process.ended().is_none() {
            return Ok(None);
        }
        let path = self.load_path();
        let json = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(serde_json::from_slice(&json).context("demo-load's report")?))
    }

    /// An error when a process has died that should be running (the load generator may end well).
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
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
    pub(super) fn revive(&mut self) -> anyhow::Result<Vec<Role>> {
        let dead =
            |member: &mut Member| member.since.elapsed() >= RESTART_PAUSE && member.process.ended().is_some();
        let dead: Vec<Role> = self.children.extract_if(.., dead).map(|member| member.role).collect();
        for &role in &dead {
            self.launch(role)?;
        }
        Ok(dead)
    }

    /// The agent's feed.
    pub(super) fn feed(&self) -> Endpoint {
        Endpoint::Unix(self.socket(Role::Agent))
    }

    /// The agent's metrics.
    pub(super) fn agent_metrics(&self) -> Endpoint {
        Endpoint::Tcp(self.metrics)
    }

    /// The proxy's admin socket.
    pub(super) fn proxy_admin(&self) -> Endpoint {
        Endpoint::Unix(self.socket(Role::Proxy))
    }

    /// The origin's admin socket.
    pub(super) fn origin_admin(&self) -> Endpoint {
        Endpoint::Unix(self.socket(Role::Origin))
    }

    /// Which of the agent's series are about this demo.
    pub(super) fn scope(&self) -> Scope {
        Scope { proxy_port: self.proxy.port(), origin_port: self.origin.port() }
    }

    /// The proxy's process group.
    pub(super) fn proxy_pid(&self) -> Option<u32> {
        self.children.iter().find(|member| member.role == Role::Proxy).map(|member| member.process.pid())
    }

    /// Where hosp-tui lies.
    pub(super) fn tui(&self) -> PathBuf {
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
        let Options { seed, rate, .. } = self.options;
        let socket = self.socket(role).display().to_string();
        let mut arguments = match role {
            Role::Origin => vec![
                format!("--listen={}", self.origin),
                format!("--admin={socket}"),
                format!("--seed={seed}"),
                format!("--time-scale={}", self.options.time_scale()),
            ],
            Role::Agent => vec![
                format!("--metrics-listen={}", self.metrics),
                format!("--feed=unix:{socket}"),
                format!("--proxy=unix:{}", self.socket(Role::Proxy).display()),
                "--bpf-stats".to_owned(),
            ],
            Role::Proxy => vec![
                format!("--listen={}", self.proxy),
                format!("--origin=http://{}", self.origin),
                format!("--admin=unix:{socket}"),
            ],
            Role::Load => vec![
                format!("--target={}", self.proxy),
                format!("--rate={rate}"),
                format!("--seed={seed}"),
                format!("--report={}", self.load_path().display()),
            ],
        };
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
