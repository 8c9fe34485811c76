//! One scenario: starts its contenders, lets the rig run them side by side, and reads what it reports.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use xtask::chaos_rig;
use xtask::chaos_rig::report::Report;
use xtask::chaos_rig::scenario::Scenario;
use xtask::child::{Launch, Running};

use super::bars;
use super::contenders::{Kind, Started};
use xtask::artifacts::{Program, Programs};

/// How often progress is told.
const TELL: Duration = Duration::from_secs(5);
/// Between two looks at what runs.
const LOOK: Duration = Duration::from_millis(50);

/// A request that left later than this, in time of the run, says that the machine was busy with other things.
const BUSY: Duration = Duration::from_millis(100);
/// Runs at most, until the machine was not busy.
const RUNS: u32 = 3;

/// A scenario to be run.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) scenario: &'static Scenario,
    pub(super) seed: u64,
    pub(super) requests: u64,
    /// Whether its folder stays.
    pub(super) keep: bool,
}

/// A scenario that was run.
#[derive(Debug, Serialize)]
pub(super) struct Finished {
    /// Its name.
    pub(super) scenario: &'static str,
    /// What happened in it.
    pub(super) about: &'static str,
    /// By what the real system's times were divided.
    pub(super) scale: f64,
    /// The seed.
    pub(super) seed: u64,
    /// Requests of each contender.
    pub(super) requests: u64,
    /// What each contender made of it.
    pub(super) reports: Vec<Report>,
    /// The bars that hosp-proxy missed, in words.
    pub(super) missed: Vec<String>,
}

impl Finished {
    /// How late, in milliseconds of the run, the latest request left.
    pub(super) fn latest_start_ms(&self) -> f64 {
        self.reports.iter().map(|report| report.latest_start_ms).fold(0.0, f64::max)
    }

    /// Whether the machine takes part in the figures.
    pub(super) fn machine_busy(&self) -> bool {
        self.latest_start_ms() > BUSY.as_secs_f64() * 1e3
    }
}

impl Stage {
    /// Runs it with `kinds`, unless `told` to stop; again, where the machine was so busy that figures say nothing.
    pub(super) fn run(
        &self,
        kinds: &[Kind],
        programs: &Programs,
        told: impl Fn() -> bool,
    ) -> anyhow::Result<Finished> {
        let mut run = 1;
        loop {
            let finished = self.run_once(kinds, programs, &told)?;
            if !finished.machine_busy() || run == RUNS {
                return Ok(finished);
            }
            eprintln!("    the machine was busy ({:.0} ms late): once more", finished.latest_start_ms());
            run += 1;
        }
    }

    fn run_once(
        &self,
        kinds: &[Kind],
        programs: &Programs,
        told: impl Fn() -> bool,
    ) -> anyhow::Result<Finished> {
        let dir = tempfile::Builder::new().prefix("hosp-chaos-").disable_cleanup(self.keep).tempdir()?;
        if self.keep {
            eprintln!("    files: {}", dir.path().display());
        }
        let mut contenders = Vec::new();
        for &kind in kinds {
            if told() {
                bail!("stopped");
            }
            contenders.push(Started::new(kind, self.scenario, dir.path(), programs)?);
        }
        let path = dir.path().join("report.json");
        let log = dir.path().join("rig.log");
        let mut rig = Launch::new("chaos-rig", programs.path(Program::ChaosRig))
            .args(self.flags(&contenders, &path))
            .log(&log)
            .spawn()?;
        self.watch(&mut rig, &mut contenders, told)?;
        let reports = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let reports: Vec<Report> =
            serde_json::from_slice(&reports).context("the rig's report makes no sense")?;
        Ok(Finished {
            scenario: self.scenario.name,
            about: self.scenario.about,
            scale: self.scenario.scale,
            seed: self.seed,
            requests: self.requests,
            missed: bars::missed(self.scenario, &reports),
            reports,
        })
    }

    fn flags(&self, contenders: &[Started], report: &Path) -> Vec<String> {
        let mut flags = vec![
            format!("--scenario={}", self.scenario.name),
            format!("--seed={}", self.seed),
            format!("--requests={}", self.requests),
            format!("--report={}", report.display()),
        ];
        flags.extend(contenders.iter().map(|started| format!("--contender={}", started.contender)));
        flags
    }

    /// Waits for the rig's end, as long as everybody else lives.
    fn watch(
        &self,
        rig: &mut Running,
        contenders: &mut [Started],
        told: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let longest = chaos_rig::longest(self.scenario, self.requests);
        let start = Instant::now();
        let mut tell = TELL;
        loop {
            if let Some(status) = rig.ended() {
                return if status.success() {
                    Ok(())
                } else {
                    bail!("the rig failed ({status}):\n{}", rig.log_tail(10))
                };
            }
            if let Some(dead) = contenders
                .iter_mut()
                .find_map(|started| started.process.ended().map(|status| (status, &started.process)))
            {
                bail!("{} ended meanwhile ({}):\n{}", dead.1.name(), dead.0, dead.1.log_tail(10));
            }
            if told() {
                bail!("stopped");
            }
            // Twice as long, because a machine that is busy with other things is no failure of the rig.
            if start.elapsed() > longest * 2 {
                bail!("the rig does not end:\n{}", rig.log_tail(10));
            }
            if start.elapsed() >= tell {
                eprintln!("    {} s of at most {} s", tell.as_secs(), longest.as_secs());
                tell += TELL;
            }
            std::thread::sleep(LOOK);
        }
    }
}
