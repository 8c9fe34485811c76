//! Everything a maintainer runs, continuous integration included: `cargo xtask setup|demo|test|fuzz|bench|chaos|ebpf|ci`.

mod bench;
mod chaos;
mod ci;
mod demo;
mod ebpf;
mod fuzz;
mod kernels;
mod servers;
mod setup;
mod test;

use std::process::ExitCode;

use clap::Parser;
use xtask::{artifacts, steps};

/// hosp's maintenance commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
enum Xtask {
    /// Install what tests, benchmarks and the BPF build need (Debian packages, BPF toolchain)
    Setup(setup::Options),
    /// Run origin, proxy, agent, load and the terminal together, and compare their books
    Demo(demo::Options),
    /// Run every test
    Test(test::Options),
    /// Feed made-up bytes to whatever reads bytes from outside, for a bounded time
    Fuzz(fuzz::Options),
    /// Measure hosp beside its peers
    Bench(bench::Options),
    /// Run seeded faults through hosp-proxy, nginx, HAProxy and Varnish, and compare what clients get
    Chaos(chaos::Options),
    /// Rebuild the committed BPF object, or check that it is what its sources build
    Ebpf(ebpf::Options),
    /// Check format, lints, the committed BPF object and the sample configurations
    Ci,
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Setup(options) => setup::run(&options),
        Xtask::Demo(options) => return demo::run(&options),
        Xtask::Test(options) => test::run(&options),
        Xtask::Fuzz(options) => fuzz::run(&options),
        Xtask::Bench(options) => bench::run(&options),
        Xtask::Chaos(options) => chaos::run(&options),
        Xtask::Ebpf(options) => ebpf::run(&options),
        Xtask::Ci => ci::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Xtask::command().debug_assert();
    }
}
