//! The program `hosp-tui`: reads the command line, runs what it asks for, turns failures into exit codes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use hosp_tui::cli;

fn main() -> ExitCode {
    match cli::run(cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("hosp-tui: {failure}");
            failure.exit().into()
        }
    }
}
