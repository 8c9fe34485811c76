//! The program `hosp-tui`: reads the command line, runs what it asks for, turns failures into exit codes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use hosp_tui::cli;
use hosp_tui::output::tell;

fn main() -> ExitCode {
    match cli::run(cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure);
            failure.exit().into()
        }
    }
}
