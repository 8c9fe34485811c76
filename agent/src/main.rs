//! hosp-agent: parses the command line, and turns results into exit statuses.

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use hosp_agent::args::{Cli, Command};
use hosp_agent::config::{self, Settings};
use hosp_agent::failure::{self, Failure};
use hosp_agent::{doctor, log, run};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and go to standard output.
            let _ = error.print();
            return if error.use_stderr() { failure::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("hosp-agent: {failure}");
            failure.exit_status().into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        None => {
            let settings = Settings::load(&cli.options)?;
            log::init();
            run::observe(settings)?;
        }
        Some(Command::Check { config }) => {
            config::check(&config)?;
            println!("{}: all right", config.display());
        }
        Some(Command::Doctor { json, options }) => {
            let report = doctor::examine(&Settings::load(&options)?);
            report.print(json, &mut io::stdout()).map_err(Failure::system("print the report"))?;
            return Ok(if report.healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "hosp-agent", &mut io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}
