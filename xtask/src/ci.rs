//! `cargo xtask ci`: what a change must pass before anything runs: format, lints, the committed BPF object, and
//! the sample configurations.

use std::process::Command;

use anyhow::Context as _;

use crate::ebpf;
use crate::setup::{self, Group};
use crate::steps::{cargo, find_program, step, workspace};

/// Runs `cargo xtask ci`.
pub(crate) fn run() -> anyhow::Result<()> {
    step("cargo fmt --check", cargo()?.args(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    step("cargo clippy", cargo()?.args(clippy))?;
    ebpf::run(&ebpf::Options::check())?;
    samples()
}

/// The files in `deploy/` are what their readers accept.
fn samples() -> anyhow::Result<()> {
    let check = ["run", "--quiet", "--package", "hosp-proxy", "--", "check", "--config", "deploy/proxy.toml"];
    step("hosp-proxy check", cargo()?.args(check))?;
    setup::ensure(&[Group::Test])?;
    let mut promtool = Command::new(find_program("promtool").context("no promtool")?);
    step(
        "promtool check config",
        promtool.current_dir(workspace()?).args(["check", "config", "deploy/prometheus.yml"]),
    )
}
