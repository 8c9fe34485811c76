//! `cargo xtask fuzz`: feeds made-up bytes to whatever reads bytes from outside, for a bounded time.
//!
//! The targets lie where cargo-fuzz looks for them: in `fuzz/fuzz_targets` of the crate that they belong to. What a
//! target finds becomes a small file in `fuzz/regressions/TARGET`, which the crate's ordinary tests replay.

mod progress;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::setup::bpf::cargo_home;
use crate::steps::{find_program, target_dir, timed, workspace};

use self::progress::Progress;

/// Crates with fuzz targets.
const CRATES: [&str; 3] = ["agent-ebpf", "agent", "proxy"];

/// Flags of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The target to run; all of them, one after the other, when left out
    target: Option<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

/// One fuzz target.
#[derive(Debug)]
struct Target {
    name: String,
    /// The crate's `fuzz` folder.
    folder: PathBuf,
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let cargo_fuzz = cargo_fuzz()?;
    let all = targets(&workspace()?)?;
    let chosen: Vec<&Target> =
        all.iter().filter(|target| options.target.as_ref().is_none_or(|name| *name == target.name)).collect();
    let names = || all.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
    ensure!(!chosen.is_empty(), "no such target; there are: {}", names());
    for target in chosen {
        timed(&format!("fuzzing {} for {} s", target.name, options.seconds), || {
            let progress = target.run(&cargo_fuzz, options.seconds)?;
            eprintln!("    {}: {progress}", target.name);
            Ok(())
        })?;
    }
    Ok(())
}

fn cargo_fuzz() -> anyhow::Result<PathBuf> {
    let installed = || cargo_home().map(|home| home.join("bin/cargo-fuzz")).filter(|path| path.is_file());
    find_program("cargo-fuzz")
        .or_else(installed)
        .context("cargo-fuzz is missing. Install it with:\n    cargo install cargo-fuzz --locked")
}

/// Every target below `workspace`, in the order of [`CRATES`] and of their names.
fn targets(workspace: &Path) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for name in CRATES {
        let folder = workspace.join(name).join("fuzz");
        let sources = folder.join("fuzz_targets");
        let files = fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))?;
        let mut names = Vec::new();
        for file in files {
            let path = file?.path();
            let stem = path.file_stem().filter(|_| path.extension().is_some_and(|kind| kind == "rs"));
            names.extend(stem.map(|stem| stem.to_string_lossy().into_owned()));
        }
        names.sort();
        targets.extend(names.into_iter().map(|name| Target { name, folder: folder.clone() }));
    }
    Ok(targets)
}

impl Target {
    /// Builds the target and runs it for `seconds`. What it finds is an error, and already on the terminal.
    fn run(&self, cargo_fuzz: &Path, seconds: u32) -> anyhow::Result<Progress> {
        // One lock file decides all versions; what only the fuzzers need is added to the copy.
        let lock = self.folder.join("Cargo.lock");
        fs::copy(workspace()?.join("Cargo.lock"), &lock)
            .with_context(|| format!("cannot write {}", lock.display()))?;
        let corpus = self.folder.join("corpus").join(&self.name);
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;

        let mut command = Command::new(cargo_fuzz);
        command
            .current_dir(self.folder.parent().context("a fuzz folder lies in its crate")?)
            .args(["run", &self.name, "--target-dir"])
            .arg(target_dir()?.join("fuzz"))
            .arg(&corpus)
            .arg(self.folder.join("regressions").join(&self.name))
            .args(["--", "-print_final_stats=1"])
            .arg(format!("-max_total_time={seconds}"))
            // The instrumentation is not stable, but it is in every compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", cargo_fuzz.display()))?;
        let output = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        let mut progress = Progress::default();
        for line in output.split(b'\n') {
            let line = line.context("cannot read what the fuzzer says")?;
            let line = String::from_utf8_lossy(&line);
            if !progress.take(&line) {
                eprintln!("{line}");
            }
        }
        let status = child.wait().context("cannot wait for the fuzzer")?;
        ensure!(
            status.success(),
            "{0} found something, or did not build ({status}); see above. An input that fails is in {1}: \
             make it small with `cargo fuzz tmin`, mend what it shows, and keep it in {2}",
            self.name,
            self.folder.join("artifacts").join(&self.name).display(),
            self.folder.join("regressions").join(&self.name).display(),
        );
        Ok(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_inputs_that_the_tests_replay() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let targets = targets(root).unwrap();
        assert!(!targets.is_empty());
        for Target { name, folder } in targets {
            let kept = fs::read_dir(folder.join("regressions").join(&name)).map(Iterator::count);
            assert!(kept.is_ok_and(|n| n > 0), "{name}: nothing in regressions/{name}");
        }
    }
}
