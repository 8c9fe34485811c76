//! `cargo xtask bench agent`: nginx under full load without hosp-agent, with it, and with nginx's own buffered
//! access log instead, in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure};
use hosp_feed::Snapshot;
use serde::Serialize;
use xtask::cgroup::Cgroup;
use xtask::child::{Launch, Running};
use xtask::endpoint::Endpoint;
use xtask::stats::{median, median_ratio};
use xtask::table::Table;
use xtask::usage::Usage;
use xtask::{poll, ports};

use super::{Cores, Rounds, micros, wrk};
use crate::artifacts::{Program, Programs};
use crate::servers::{Server, body, configure, nginx};
use crate::steps::{as_root, is_root};

const TARGET_CONF: &str = include_str!("../../assets/target.nginx.conf");
const WARM_UP: u32 = 1;
const PATIENCE: Duration = Duration::from_secs(20);
const SNAPSHOT: &str = "/v1/snapshot";

/// Flags of `cargo xtask bench agent`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rounds: Rounds,
    /// Observe the whole host, the load generator's own sockets included: twice the work, as where clients and
    /// server share a host
    #[arg(long)]
    whole_host: bool,
}

impl Options {
    /// The defaults, with these rounds.
    pub(super) fn whole(rounds: &Rounds) -> Self {
        Self { rounds: rounds.clone(), whole_host: false }
    }
}

/// What is done beside serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bare,
    Observed,
    Logged,
}

/// One measurement.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    rate: f64,
    target_cpu_us: f64,
    agent: Option<AgentSample>,
}

/// What the agent says of one measurement.
#[derive(Clone, Copy, Debug, Default)]
struct AgentSample {
    cpu_us: f64,
    memory: f64,
    sent: u64,
    seen: u64,
    lost: u64,
    bpf_ns_per_run: f64,
    bpf_ns_per_request: f64,
}

/// Medians, and sums where it says so.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    bare_requests_per_second: f64,
    observed_requests_per_second: f64,
    logged_requests_per_second: f64,
    /// Throughput of nginx with the agent, divided by that without in the same round.
    observed_to_bare: f64,
    /// The same for nginx's own access log.
    logged_to_bare: f64,
    /// CPU time of nginx per request.
    bare_nginx_cpu_us: f64,
    observed_nginx_cpu_us: f64,
    logged_nginx_cpu_us: f64,
    /// CPU time of the agent per request.
    agent_cpu_us: f64,
    agent_memory_bytes: f64,
    /// Time in BPF programs, measured in a run of its own because measuring costs time, too.
    bpf_ns_per_run: f64,
    bpf_ns_per_request: f64,
    /// Sums over all rounds. wrk drops what is under way at its end, so that the agent may see a few more.
    requests_answered: u64,
    requests_seen: u64,
    requests_lost: u64,
}

/// The bench's places and programs.
struct Bench<'a> {
    options: &'a Options,
    dir: &'a Path,
    programs: &'a Programs,
    cgroup: Option<&'a Cgroup>,
    target: &'a Running,
    bare: SocketAddr,
    logged: SocketAddr,
    metrics: SocketAddr,
}

/// Runs `cargo xtask bench agent`.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    if !is_root() {
        bail!("hosp-agent loads eBPF programs, which takes root: {}", as_root("bench agent"));
    }
    let programs = Programs::build()?;
    let dir = tempfile::Builder::new().prefix("hosp-bench-").tempdir()?;
    let own = Cgroup::create("bench")?;
    let [bare, logged, metrics] = ports::free()?;
    let target = start_target(dir.path(), &own, bare, logged)?;
    let cgroup = (!options.whole_host).then_some(&own);
    let (dir, programs, target) = (dir.path(), &programs, &target);
    let bench = Bench { options, dir, programs, cgroup, target, bare, logged, metrics };
    let figures = bench.measure_all()?;
    if options.rounds.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        println!("{}", table(options, &figures));
    }
    ensure!(figures.requests_lost == 0, "the agent lost {} requests", figures.requests_lost);
    ensure!(
        figures.requests_seen >= figures.requests_answered,
        "the agent saw fewer requests than were answered"
    );
    Ok(())
}

fn start_target(
    dir: &Path,
    cgroup: &Cgroup,
    bare: SocketAddr,
    logged: SocketAddr,
) -> anyhow::Result<Running> {
    let places = [("LISTEN", bare.to_string()), ("LOGGED", logged.to_string()), ("BODY", body())];
    let (program, args) = nginx(&configure(dir, "target.conf", TARGET_CONF, &places)?)?;
    let core = Cores::find().server;
    Server { name: "nginx", program, args, listen: bare, core, cgroup: Some(cgroup) }.start(dir)
}

impl Bench<'_> {
    fn measure_all(&self) -> anyhow::Result<Figures> {
        let modes = [Mode::Bare, Mode::Observed, Mode::Logged];
        let mut samples = [const { Vec::new() }; 3];
        for round in 0..self.options.rounds.rounds as usize {
            eprintln!("    round {} of {}", round + 1, self.options.rounds.rounds);
            for turn in 0..modes.len() {
                let m = (turn + round) % modes.len();
                samples[m].push(self.measure(modes[m], false)?);
            }
        }
        eprintln!("    one run with the kernel's BPF statistics");
        let statistics = self.measure(Mode::Observed, true)?.agent.unwrap_or_default();
        Ok(figures(&samples, statistics))
    }

    fn measure(&self, mode: Mode, statistics: bool) -> anyhow::Result<Sample> {
        let agent = (mode == Mode::Observed).then(|| self.start_agent(statistics)).transpose()?;
        let port = if mode == Mode::Logged { self.logged } else { self.bare };
        let rounds = &self.options.rounds;
        let warm_up = wrk::load(self.dir, rounds, WARM_UP, port, "/")?;
        // Starting the agent costs as much as some ten thousand requests; it is no part of the cost per request.
        let agent_before = agent.as_ref().map(|agent| self.settled(agent, warm_up.requests)).transpose()?;
        let before = Usage::of_group(self.target.pid())?;
        let load = wrk::load(self.dir, rounds, rounds.seconds, port, "/")?;
        let after = Usage::of_group(self.target.pid())?;
        let sent = warm_up.requests + load.requests;
        Ok(Sample {
            rate: load.rate(),
            target_cpu_us: micros(after.cpu.saturating_sub(before.cpu)) / load.requests.max(1) as f64,
            agent: agent
                .zip(agent_before)
                .map(|(agent, before)| self.ask_agent(agent, &before, sent))
                .transpose()?,
        })
    }

    fn start_agent(&self, statistics: bool) -> anyhow::Result<Running> {
        let log = self.dir.join("agent.log");
        let mut args = vec![format!("--metrics-listen={}", self.metrics), format!("--feed={}", self.feed())];
        args.extend(self.cgroup.map(|cgroup| format!("--cgroup={}", cgroup.path().display())));
        args.extend(statistics.then(|| "--bpf-stats".to_owned()));
        let agent = Launch::new("hosp-agent", self.programs.path(Program::Agent)).args(args).log(&log);
        let mut agent = agent.spawn()?;
        let ready = poll::until("hosp-agent answers", PATIENCE, || {
            if agent.ended().is_some() {
                return Some(false);
            }
            self.feed().get(SNAPSHOT).is_ok().then_some(true)
        });
        match ready {
            Ok(true) => Ok(agent),
            Ok(false) => bail!("hosp-agent ended at once:\n{}", agent.log_tail(15)),
            Err(late) => bail!("{late}:\n{}", agent.log_tail(15)),
        }
    }

    fn feed(&self) -> Endpoint {
        Endpoint::Unix(self.dir.join("agent.sock"))
    }

    /// What the agent says of its load, and what it cost; then it is ended.
    fn ask_agent(&self, mut agent: Running, before: &Standing, sent: u64) -> anyhow::Result<AgentSample> {
        let after = self.settled(&agent, sent)?;
        agent.stop(PATIENCE);
        Ok(sample(before, &after, sent))
    }

    /// What the agent says once nothing is open any more and it has seen `sent` requests, and what it has cost
    /// by then, as the kernel tells it.
    fn settled(&self, agent: &Running, sent: u64) -> anyhow::Result<Standing> {
        let closed = |snapshot: &Snapshot| {
            let books = &snapshot.books;
            books.open == 0 && books.balanced() && books.recorded + books.lost_total() >= sent
        };
        let mut last = None;
        let in_time = poll::until("the agent's books close", PATIENCE, || {
            last = self.feed().get_json(SNAPSHOT).ok();
            last.as_ref().is_some_and(closed).then_some(())
        });
        let Some(snapshot) = last else { bail!("hosp-agent answers no more:\n{}", agent.log_tail(15)) };
        if in_time.is_err() {
            eprintln!("    the agent's books do not close: {:?}, {sent} answered", snapshot.books);
        }
        Ok(Standing { snapshot, usage: Usage::of_group(agent.pid())? })
    }
}

/// What the agent has seen, and what it has cost, at one moment.
struct Standing {
    snapshot: Snapshot,
    usage: Usage,
}

fn sample(before: &Standing, after: &Standing, sent: u64) -> AgentSample {
    let (books, programs) = (&after.snapshot.books, &after.snapshot.cost.programs);
    let under_load = books.recorded.saturating_sub(before.snapshot.books.recorded).max(1) as f64;
    let runs: u64 = programs.iter().map(|program| program.runs).sum();
    let bpf_ns = programs.iter().map(|program| program.seconds).sum::<f64>() * 1e9;
    AgentSample {
        cpu_us: micros(after.usage.cpu.saturating_sub(before.usage.cpu)) / under_load,
        memory: after.usage.memory as f64,
        sent,
        seen: books.seen,
        lost: books.lost_total(),
        bpf_ns_per_run: bpf_ns / runs.max(1) as f64,
        bpf_ns_per_request: bpf_ns / books.recorded.max(1) as f64,
    }
}

fn figures([bare, observed, logged]: &[Vec<Sample>; 3], statistics: AgentSample) -> Figures {
    let of = |samples: &[Sample], get: fn(&Sample) -> f64| {
        median(&samples.iter().map(get).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let to_bare = |samples: &[Sample]| {
        median_ratio(&samples.iter().zip(bare).map(|(own, bare)| (own.rate, bare.rate)).collect::<Vec<_>>())
    };
    let agent: Vec<AgentSample> = observed.iter().filter_map(|sample| sample.agent).collect();
    let of_agent =
        |get: fn(&AgentSample) -> f64| median(&agent.iter().map(get).collect::<Vec<_>>()).unwrap_or(0.0);
    let sum = |get: fn(&AgentSample) -> u64| agent.iter().map(get).sum();
    Figures {
        bare_requests_per_second: of(bare, |s| s.rate),
        observed_requests_per_second: of(observed, |s| s.rate),
        logged_requests_per_second: of(logged, |s| s.rate),
        observed_to_bare: to_bare(observed).unwrap_or(0.0),
        logged_to_bare: to_bare(logged).unwrap_or(0.0),
        bare_nginx_cpu_us: of(bare, |s| s.target_cpu_us),
        observed_nginx_cpu_us: of(observed, |s| s.target_cpu_us),
        logged_nginx_cpu_us: of(logged, |s| s.target_cpu_us),
        agent_cpu_us: of_agent(|s| s.cpu_us),
        agent_memory_bytes: of_agent(|s| s.memory),
        bpf_ns_per_run: statistics.bpf_ns_per_run,
        bpf_ns_per_request: statistics.bpf_ns_per_request,
        requests_answered: sum(|s| s.sent),
        requests_seen: sum(|s| s.seen),
        requests_lost: sum(|s| s.lost),
    }
}

fn table(options: &Options, figures: &Figures) -> String {
    let mut servers = Table::new(["nginx, one worker", "requests/s", "to bare", "CPU µs/request"]);
    let mut row = |what: &str, rate: f64, ratio: f64, cpu: f64| {
        servers.row([what.to_owned(), format!("{rate:.0}"), format!("{ratio:.3}"), format!("{cpu:.2}")]);
    };
    row("bare", figures.bare_requests_per_second, 1.0, figures.bare_nginx_cpu_us);
    row(
        "with hosp-agent",
        figures.observed_requests_per_second,
        figures.observed_to_bare,
        figures.observed_nginx_cpu_us,
    );
    row(
        "with its own access log",
        figures.logged_requests_per_second,
        figures.logged_to_bare,
        figures.logged_nginx_cpu_us,
    );

    let mut agent = Table::new(["hosp-agent", ""]);
    agent.row(["CPU per request".to_owned(), format!("{:.2} µs", figures.agent_cpu_us)]);
    agent.row(["memory".to_owned(), format!("{:.1} MiB", figures.agent_memory_bytes / f64::from(1 << 20))]);
    agent.row(["BPF programs, per run".to_owned(), format!("{:.0} ns", figures.bpf_ns_per_run)]);
    agent.row(["BPF programs, per request".to_owned(), format!("{:.0} ns", figures.bpf_ns_per_request)]);
    agent.row(["requests answered (wrk)".to_owned(), figures.requests_answered.to_string()]);
    agent.row(["requests seen".to_owned(), figures.requests_seen.to_string()]);
    agent.row(["requests lost".to_owned(), figures.requests_lost.to_string()]);

    let rounds = &options.rounds;
    let scope = if options.whole_host { "the whole host" } else { "nginx alone" };
    format!(
        "\nwrk at full speed, {} connections kept alive, {scope} observed, medians of {} rounds of {} s\n\n{servers}\n{agent}",
        rounds.connections, rounds.rounds, rounds.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_compared_round_by_round_and_losses_add_up() {
        let plain = |rate| Sample { rate, target_cpu_us: 5.0, agent: None };
        let seen = |rate, lost| {
            let agent = AgentSample { sent: 10, seen: 10, lost, ..AgentSample::default() };
            Sample { agent: Some(agent), ..plain(rate) }
        };
        let bare = vec![plain(100.0), plain(50.0), plain(200.0)];
        let observed = vec![seen(98.0, 0), seen(49.0, 2), seen(196.0, 1)];
        let logged = vec![plain(90.0), plain(45.0), plain(180.0)];
        let figures = figures(&[bare, observed, logged], AgentSample::default());
        assert_eq!((figures.observed_to_bare, figures.logged_to_bare), (0.98, 0.9));
        assert_eq!((figures.requests_answered, figures.requests_seen, figures.requests_lost), (30, 30, 3));
    }
}
