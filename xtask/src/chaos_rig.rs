//! `chaos-rig`: the fault-injecting origin and the clients of `cargo xtask chaos`, in one process.
//!
//! One run is one scenario. Every contender stands between clients and an origin of its own; all of them run
//! side by side, so that whatever the machine does to one it does to all. Clients send the same requests at the
//! same times, whether or not earlier ones have been answered, and latency counts from the *scheduled* time. The
//! origin decides the fate of each attempt from the seed, the request's id and the number of the attempt, so
//! that every contender meets the same fates. Bodies follow from the id, and every byte is checked on both sides.
//!
//! **Time is scaled.** A scenario's times are those of the real system; a run divides them all by the scenario's
//! scale: the origin's answers, and deadlines, time-outs and back-offs in everybody's configuration. What nobody
//! can configure stays as it is: `Retry-After` counts whole seconds, so that its scenario runs in real time;
//! nginx's `fail_timeout` does, too, and is one second, its default in the scale of the scenario with two endpoints.
//! The scale leaves the shortest answer at 20 ms or more, well above what a busy machine adds.

pub mod catalogue;
pub mod report;
pub mod scenario;

mod answer;
mod client;
mod connection;
mod content;
mod fate;
mod ledger;
mod origin;
mod outcome;
mod schedule;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::value_parser;
use tokio::net::TcpListener;
use tokio::time::Instant;

use client::Clients;
use origin::Origin;
use report::Report;
use scenario::Scenario;

/// Carries the request's id beside its path.
const ID_HEADER: &str = "x-chaos-id";
/// Makes a write safe to repeat.
const KEY_HEADER: &str = "idempotency-key";
/// What active checks ask for.
const HEALTH: &str = "/healthz";

/// From the moment that the origin listens to the first request: health checks see the origin up meanwhile.
const LEAD: Duration = Duration::from_secs(2);
/// The origin counts as quiet when no attempt has arrived for this long.
const QUIET: Duration = Duration::from_millis(250);

/// Flags of `chaos-rig`.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "chaos-rig", version, about = "Runs one scenario of `cargo xtask chaos`")]
pub struct Options {
    /// The scenario
    #[arg(long, value_parser = |name: &str| catalogue::find(name).ok_or("no such scenario"))]
    pub scenario: &'static Scenario,
    /// Seed of the schedule and of the faults
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Requests of each contender
    #[arg(long, value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub requests: u64,
    /// A contender: its name, its address, and the addresses at which to be its origin
    #[arg(long, value_name = "NAME=ADDR,ORIGIN[,ORIGIN]", required = true)]
    pub contender: Vec<Contender>,
    /// Where to write the reports (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: PathBuf,
}

/// A contender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub target: SocketAddr,
    /// Where its origin is to listen, endpoint by endpoint.
    pub endpoints: Vec<SocketAddr>,
}

/// A text that names no contender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: NAME=ADDR,ORIGIN[,ORIGIN], each address as IP:PORT")]
pub struct BadContender(String);

impl FromStr for Contender {
    type Err = BadContender;

    fn from_str(text: &str) -> Result<Self, BadContender> {
        let bad = || BadContender(text.to_owned());
        let (name, addresses) = text.split_once('=').ok_or_else(bad)?;
        let addresses: Result<Vec<SocketAddr>, _> = addresses.split(',').map(str::parse).collect();
        match addresses.map_err(|_| bad())?.split_first() {
            Some((&target, endpoints)) if !endpoints.is_empty() => {
                Ok(Self { name: name.to_owned(), target, endpoints: endpoints.to_vec() })
            }
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.target)?;
        self.endpoints.iter().try_for_each(|endpoint| write!(f, ",{endpoint}"))
    }
}

/// For how long a run with `requests` may go on before something is wrong.
pub fn longest(scenario: &Scenario, requests: u64) -> Duration {
    LEAD + scenario.longest(requests)
}

/// Runs the scenario with all contenders at once, and writes the reports.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let start = Instant::now() + LEAD;
    let schedule = Arc::new(schedule::schedule(options.scenario, options.seed, options.requests));
    let mut runs = Vec::new();
    for contender in options.contender {
        let origin = Arc::new(Origin::new(options.scenario, options.seed, options.requests, start));
        for (number, &address) in contender.endpoints.iter().enumerate() {
            let listener =
                TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            let serving = Arc::clone(&origin).serve(number, address, listener);
            tokio::spawn(async move {
                if let Err(error) = serving.await {
                    eprintln!("chaos-rig: cannot listen on {address} again: {error}");
                    std::process::exit(1);
                }
            });
        }
        runs.push((contender, origin));
    }
    let runs = runs.into_iter().map(|(contender, origin)| {
        let clients = Clients::new(options.scenario, contender.target);
        tokio::spawn(contend(options.scenario, contender.name, clients, origin, Arc::clone(&schedule), start))
    });
    let mut reports: Vec<Report> = Vec::new();
    for run in runs.collect::<Vec<_>>() {
        reports.push(run.await?);
    }
    std::fs::write(&options.report, serde_json::to_vec(&reports)?)
        .with_context(|| format!("cannot write the report {}", options.report.display()))
}

async fn contend(
    scenario: &'static Scenario,
    name: String,
    clients: Clients,
    origin: Arc<Origin>,
    schedule: Arc<Vec<schedule::Planned>>,
    start: Instant,
) -> Report {
    let samples = clients.run(schedule, start).await;
    // A proxy that goes on after its client has left may still apply a write again.
    let mut seen = None;
    while seen != Some(origin.ledger().arrivals().len()) {
        seen = Some(origin.ledger().arrivals().len());
        tokio::time::sleep(QUIET).await;
    }
    let ledger = origin.ledger().clone();
    report::judge(scenario, &name, &samples, &ledger)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_contender_reads_as_it_is_written() {
        let text = "nginx=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3";
        let contender: Contender = text.parse().unwrap();
        assert_eq!((contender.endpoints.len(), contender.to_string()), (2, text.to_owned()));
        for bad in ["nginx", "nginx=127.0.0.1:1", "nginx=127.0.0.1:1,x", ""] {
            assert!(bad.parse::<Contender>().is_err(), "{bad}");
        }
    }
}
