//! `demo-load`: an open-loop load generator that knows what became of each request.
//!
//! Requests leave at the times that the seed drew, whether or not earlier ones have been answered, and latency
//! counts from the *scheduled* time, so that a server that stalls cannot hide it by slowing the generator
//! down. Every request that was handed to a connection ends in exactly one outcome, so that its books can be
//! compared with anybody's. SIGTERM or SIGINT ends the schedule; what is under way is finished first.

mod client;
mod failures;
mod plan;
mod report;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use failures::Failure;
pub use plan::{Plan, Planned};
pub use report::{LatencyReport, LoadReport, Outcome};

use client::Client;
use failures::FailureLog;
use report::Recorder;

/// Flags of `demo-load`.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "demo-load",
    version,
    about = "Sends a hospital's traffic at a fixed rate, and accounts for all of it"
)]
pub struct Options {
    /// Address of the server
    #[arg(long)]
    pub target: SocketAddr,
    /// Requests per second, on average
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// Ends after this many seconds; without it, on SIGTERM
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Seed of the schedule and of the mix
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long a request may take before it is given up
    #[arg(long, default_value = "65s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Where to write the report (JSON); without it, to standard output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Where to write, as it fails, each request that was not served (a JSON line each)
    #[arg(long, value_name = "FILE")]
    pub failures: Option<PathBuf>,
}

/// Runs the whole schedule and writes the report.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let plan = Plan::new(options.seed, options.rate)?;
    let failures = options
        .failures
        .as_ref()
        .map(|path| {
            FailureLog::create(path).with_context(|| format!("cannot write failures to {}", path.display()))
        })
        .transpose()?;
    let recorder = Arc::new(Mutex::new(Recorder::new(failures)));
    let client = Arc::new(Client::new(options.target, options.timeout));
    let requests = TaskTracker::new();
    let end = options.seconds.map(Duration::from_secs_f64);
    let start = Instant::now();

    tokio::select! {
        () = send_all(plan, end, start, &requests, &client, &recorder) => {}
        stopped = told_to_stop() => stopped?,
    }
    let scheduled = start.elapsed();
    requests.close();
    requests.wait().await;

    let report = recorder.lock().unwrap_or_else(PoisonError::into_inner).report(&options, scheduled);
    let json = serde_json::to_vec_pretty(&report)?;
    match &options.report {
        None => println!("{}", String::from_utf8_lossy(&json)),
        Some(path) => {
            // Whole or not at all: the reader waits for the file to appear.
            let part = path.with_extension("part");
            std::fs::write(&part, json)
                .and_then(|()| std::fs::rename(&part, path))
                .with_context(|| format!("cannot write the report {}", path.display()))?;
        }
    }
    Ok(())
}

async fn send_all(
    plan: Plan,
    end: Option<Duration>,
    start: Instant,
    requests: &TaskTracker,
    client: &Arc<Client>,
    recorder: &Arc<Mutex<Recorder>>,
) {
    for planned in plan.take_while(|planned| end.is_none_or(|end| planned.at < end)) {
        let scheduled = start + planned.at;
        tokio::time::sleep_until(scheduled).await;
        let (client, recorder) = (Arc::clone(client), Arc::clone(recorder));
        requests.spawn(async move {
            let late = scheduled.elapsed();
            let outcome = client.send(&planned).await;
            let latency = scheduled.elapsed();
            let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
            recorder.record(planned.method(), &outcome, latency, late);
        });
    }
}

async fn told_to_stop() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
