//! `cargo xtask chaos`: the same seeded faults for hosp-proxy, nginx, HAProxy and Varnish, side by side, and what
//! their clients got.
//!
//! How a run works, and what of it is scaled: [`xtask::chaos_rig`]. The configurations are in `assets/chaos`.

mod bars;
mod contenders;
mod stage;
mod table;
mod template;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use xtask::chaos_rig::catalogue::{SCENARIOS, find};
use xtask::chaos_rig::scenario::Scenario;

use crate::setup::{self, Group};
use contenders::Kind;
use stage::Stage;
use xtask::artifacts::Programs;

/// Nice value of everybody who takes part.
const PRIORITY: i32 = -10;

/// Flags of `cargo xtask chaos`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Scenarios to run; all when left out
    #[arg(value_name = "SCENARIO", value_parser = scenario_parser())]
    scenarios: Vec<&'static Scenario>,
    /// Seed of the schedules and of the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests of each contender in each scenario, instead of the scenario's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    requests: Option<u64>,
    /// Who takes part, by name: hosp-proxy, nginx-naive, nginx-expert, haproxy, varnish
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// List the scenarios and who takes part in them, and run nothing
    #[arg(long)]
    list: bool,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Fail if hosp-proxy misses a bar
    #[arg(long)]
    check: bool,
    /// Use programs built without optimisation: sooner built, but the figures are theirs
    #[arg(long)]
    unoptimised: bool,
    /// Leave the folder with configurations and logs behind
    #[arg(long)]
    keep: bool,
}

fn scenario_parser() -> impl clap::builder::TypedValueParser<Value = &'static Scenario> {
    PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name))
        .map(|name| find(&name).expect("only names of scenarios are possible"))
}

impl Options {
    fn scenarios(&self) -> Vec<&'static Scenario> {
        if self.scenarios.is_empty() { SCENARIOS.iter().collect() } else { self.scenarios.clone() }
    }

    /// Who takes part in `scenario`.
    fn contenders(&self, scenario: &Scenario) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.only.is_empty() || self.only.iter().any(|name| kind.is_called(name));
        Kind::all(scenario).into_iter().filter(wanted).collect()
    }

    /// Every name in `--only` means somebody.
    fn check(&self) -> anyhow::Result<()> {
        let scenarios = self.scenarios();
        let everybody: Vec<Kind> = scenarios.iter().flat_map(|scenario| Kind::all(scenario)).collect();
        for name in &self.only {
            ensure!(
                everybody.iter().any(|kind| kind.is_called(name)),
                "--only {name}: nobody of that name takes part; `cargo xtask chaos --list` lists all"
            );
        }
        Ok(())
    }
}

/// Runs `cargo xtask chaos`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    options.check()?;
    if options.list {
        return list(options);
    }
    let scenarios = options.scenarios();
    let peers =
        |scenario: &&Scenario| options.contenders(scenario).iter().any(|kind| !matches!(kind, Kind::Hosp(_)));
    if scenarios.iter().any(peers) {
        setup::ensure(&[Group::Test])?;
    }
    let programs = if options.unoptimised { Programs::build_for_tests() } else { Programs::build() }?;
    // Inherited by all that takes part, so that what else the machine does decides less. Only root may.
    let _ = rustix::process::setpriority_process(None, PRIORITY);
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told)).context("cannot handle signals")?;
    }
    let mut all = Vec::new();
    for (n, scenario) in scenarios.iter().enumerate() {
        let kinds = options.contenders(scenario);
        if kinds.is_empty() {
            continue;
        }
        let requests = options.requests.unwrap_or(scenario.requests);
        eprintln!("==> {} of {}: {} ({})", n + 1, scenarios.len(), scenario.name, scenario.about);
        let stage = Stage { scenario, seed: options.seed, requests, keep: options.keep };
        let finished = stage.run(&kinds, &programs, || told.load(Ordering::Relaxed))?;
        if !options.json {
            println!("{}", table::of(&finished));
        }
        all.push(finished);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    let missed: usize = all.iter().map(|finished| finished.missed.len()).sum();
    ensure!(!options.check || missed == 0, "{missed} bars missed");
    Ok(())
}

fn list(options: &Options) -> anyhow::Result<()> {
    for scenario in options.scenarios() {
        let kinds: Vec<String> = options.contenders(scenario).iter().map(ToString::to_string).collect();
        println!("{}\n    {}\n    {}", scenario.name, scenario.about, kinds.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn options(args: &[&str]) -> Result<Options, clap::Error> {
        Command::try_parse_from(std::iter::once(&"chaos").chain(args)).map(|command| command.options)
    }

    #[test]
    fn scenarios_and_contenders_are_chosen_by_name() {
        let chosen = options(&["errors-30", "hung", "--only", "hosp-proxy,varnish"]).unwrap();
        assert_eq!(chosen.scenarios().iter().map(|s| s.name).collect::<Vec<_>>(), ["errors-30", "hung"]);
        let names = |scenario| {
            chosen.contenders(find(scenario).unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names("errors-30"), ["hosp-proxy", "hosp-proxy/budget-70", "varnish"]);
        assert_eq!(names("hung"), ["hosp-proxy", "varnish"]);
        assert!(chosen.check().is_ok());
    }

    #[test]
    fn names_that_nobody_has_are_refused() {
        assert!(options(&["sunshine"]).is_err());
        let error = options(&["--only", "apache"]).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("apache"), "{error}");
    }
}
