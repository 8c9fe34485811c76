//! `cargo xtask bench`: what hosp costs, beside its peers, in one run on one machine.

mod agent;
mod proxy;
mod wrk;

use std::thread::available_parallelism;
use std::time::Duration;

use crate::setup::{self, Group};

/// Flags of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// What to measure; both when left out
    #[command(subcommand)]
    what: Option<Bench>,
    #[command(flatten)]
    rounds: Rounds,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// hosp-proxy beside nginx and HAProxy: CPU per request, requests/s, latency, memory
    Proxy(Rounds),
    /// nginx with and without hosp-agent: what observing costs
    Agent(agent::Options),
}

/// How often and how long to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Rounds {
    /// Rounds; the figures are medians over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load in each measurement
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Connections of the load generator
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    setup::ensure(&[Group::Test])?;
    match &options.what {
        Some(Bench::Proxy(rounds)) => proxy::run(rounds),
        Some(Bench::Agent(options)) => agent::run(options),
        None => {
            proxy::run(&options.rounds)?;
            agent::run(&agent::Options::whole(&options.rounds))
        }
    }
}

/// Which CPU core does what. The measured server has one for itself, so that its CPU time per request is not
/// distorted by whoever loads it; on a machine with one core nobody is bound.
#[derive(Clone, Copy, Debug)]
struct Cores {
    load: Option<usize>,
    server: Option<usize>,
}

impl Cores {
    fn find() -> Self {
        let several = available_parallelism().is_ok_and(|cores| cores.get() > 1);
        Self { load: several.then_some(0), server: several.then_some(1) }
    }
}

/// `duration` in microseconds.
fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
