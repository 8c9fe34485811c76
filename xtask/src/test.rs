//! `cargo xtask test`: every test of the workspace; with `--kernels`, the agent on another kernel, too.
//!
//! As root, everything that a test could miss is installed first, and a test that would skip fails instead
//! (`HOSP_TEST_REQUIRE=1`). Without root, tests that load BPF programs skip and say so; the rest runs, and
//! counts. Under `CI=true` nothing may be skipped, so that without root is an error there.

use std::env;

use anyhow::ensure;

use crate::artifacts::Programs;
use crate::kernels;
use crate::setup::{self, Group};
use crate::steps::{as_root, cargo, is_root, step, timed};

/// Set when a test that cannot run here must fail instead of skipping.
const REQUIRE: &str = "HOSP_TEST_REQUIRE";

/// Flags of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Also boot Debian's kernel 6.1 in qemu, with the agent in it
    #[arg(long)]
    kernels: bool,
    /// Arguments for the test runners, such as a part of a test's name
    #[arg(last = true)]
    filter: Vec<String>,
}

/// Runs `cargo xtask test`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let require = is_root() || continuous_integration();
    if is_root() {
        setup::ensure(&[Group::Test])?;
    } else {
        ensure!(
            !continuous_integration(),
            "CI=true, but not root: tests that load BPF programs cannot run here"
        );
        eprintln!(
            "test: not root: tests that load BPF programs are skipped. For all of them:\n    {}",
            as_root("test")
        );
    }

    if is_root() {
        // The end-to-end tests would, but nobody sees what a test is waiting for.
        Programs::build_for_tests()?;
    }
    step("building the tests", cargo()?.args(["test", "--workspace", "--no-run"]))?;
    let mut tests = cargo()?;
    tests.args(["test", "--workspace", "--no-fail-fast", "--"]).args(&options.filter);
    if require {
        tests.env(REQUIRE, "1");
    }
    step("cargo test --workspace", &mut tests)?;
    if options.kernels {
        timed("another kernel", kernels::run)?;
    }

    if !is_root() {
        eprintln!("test: passed, without the tests that need root");
    }
    Ok(())
}

fn continuous_integration() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}
