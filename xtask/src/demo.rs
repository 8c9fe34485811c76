//! `cargo xtask demo`: a flaky origin, hosp-proxy, hosp-agent and a load generator together, watched live by
//! hosp-tui; or, headless, for some seconds, after which everybody's books are compared.
//!
//! Exit status: 0 when all books agree, 1 when they do not or something died, 77 without root.

mod books;
mod evidence;
mod live;
mod report;
mod watch;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use xtask::load::LoadReport;
use xtask::poll;
use xtask::stack::{Settings, Stack};

use crate::artifacts::Programs;
use crate::steps::{as_root, is_root, timed};
use books::Book;
use evidence::Evidence;
use watch::Watch;

/// What `sysexits.h` calls EX_NOPERM.
const NOT_PERMITTED: u8 = 77;
/// How long the last requests may take to end, beyond the load generator's own time-out.
const LAST_REQUESTS: Duration = Duration::from_secs(75);
/// How long all parties may take to have counted the last request.
const SETTLE: Duration = Duration::from_secs(15);

/// Flags of `cargo xtask demo`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Run for a while without hosp-tui and compare the books; so it is without a terminal, too
    #[arg(long)]
    headless: bool,
    /// How long to send requests when headless
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u32,
    /// Requests per second, on average
    #[arg(long, value_name = "R", default_value_t = 200.0)]
    rate: f64,
    /// Seed of the schedule and of the origin's faults
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Let the origin take the real system's 2 to 20 s per answer, not a hundredth of it
    #[arg(long)]
    real_time: bool,
    /// Leave the folder with sockets and logs behind
    #[arg(long)]
    keep: bool,
}

impl Options {
    const fn time_scale(&self) -> f64 {
        if self.real_time { 1.0 } else { 0.01 }
    }

    fn settings(&self) -> Settings {
        let (rate, seed, time_scale, keep) = (self.rate, self.seed, self.time_scale(), self.keep);
        Settings { rate, seed, time_scale, keep, ..Settings::default() }
    }
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(options: &Options) -> ExitCode {
    if !is_root() {
        eprintln!(
            "demo: hosp-agent loads eBPF programs, which takes root. Run it as\n    {}",
            as_root("demo")
        );
        return ExitCode::from(NOT_PERMITTED);
    }
    let interactive = !options.headless && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let done = if interactive { live::run(options).map(|()| true) } else { headless(options) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Builds everything and starts the stack, without load.
fn start(options: &Options) -> anyhow::Result<Stack> {
    let programs = Programs::build()?;
    timed("starting origin, agent and proxy", || Stack::start("demo", options.settings(), programs))
}

/// Set by the signals that end the demo.
fn told_to_stop() -> anyhow::Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told)).context("cannot handle signals")?;
    }
    Ok(told)
}

/// Runs without a terminal; whether all books agree.
fn headless(options: &Options) -> anyhow::Result<bool> {
    let told = told_to_stop()?;
    let mut stack = start(options)?;
    let watch = Watch::start(stack.feed(), stack.scope())?;
    let load = timed(&format!("{} s of load at {} requests/s", options.seconds, options.rate), || {
        stack.start_load(Some(options.seconds))?;
        wait_for_load(&mut stack, &told, Duration::from_secs(options.seconds.into()) + LAST_REQUESTS)
    })?;
    let (evidence, books) = timed("settling the books", || settle(&stack, &watch, &load))?;
    stack.check()?;
    println!("{}", report::render(options, &evidence, &books));
    Ok(books.iter().all(Book::agrees))
}

fn wait_for_load(stack: &mut Stack, told: &AtomicBool, within: Duration) -> anyhow::Result<LoadReport> {
    poll::until("the load generator ends", within, || {
        if told.load(Ordering::Relaxed) {
            return Some(Err(anyhow!("interrupted")));
        }
        stack.check().and_then(|()| stack.load_report()).transpose()
    })?
}

/// Asks all parties until they agree, or until they have had time enough. The requests have ended by then,
/// but the last of them are still on their way through the ring buffer, and a snapshot comes once a second.
fn settle(stack: &Stack, watch: &Watch, load: &LoadReport) -> anyhow::Result<(Evidence, Vec<Book>)> {
    let mut last = Err(anyhow!("nobody was asked"));
    let agreed = poll::until("all books agree", SETTLE, || {
        last = Evidence::gather(stack, watch, load).map(|evidence| {
            let books = books::compare(&evidence);
            (evidence, books)
        });
        last.as_ref().is_ok_and(|(_, books)| books.iter().all(Book::agrees)).then_some(())
    });
    if agreed.is_err() {
        eprintln!("    the parties still disagree after {} s", SETTLE.as_secs());
    }
    last
}
