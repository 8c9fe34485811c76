//! hosp-agent: parses the command line, and turns results into exit statuses.

use std::io::{self, Write as _};
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
            // When standard error is closed or full, the exit status has to say it alone.
            let _ = writeln!(io::stderr(), "hosp-agent: {failure}");
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
            print(format!("{}: all right\n", config.display()).as_bytes())?;
        }
        Some(Command::Doctor { json, options }) => {
            let report = doctor::examine(&Settings::load(&options)?);
            print(report.text(json).as_bytes())?;
            return Ok(if report.healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hosp-agent", &mut script);
            print(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::system("write to standard output")(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
