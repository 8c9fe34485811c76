//! The command line: what it accepts, and what each form of it runs.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::address::Address;
use crate::exit::{Exit, Failure};
use crate::output::print;
use crate::state::Window;
use crate::{once, runtime};

const EXAMPLES: &str = "\
Examples:
  hosp-tui                                      the agent on this host
  hosp-tui --agent 10.0.0.7:9465 --agent 10.0.0.8:9465
                                                two hosts, merged without loss
  hosp-tui --service nginx --window 5m          one service, figures of the last 5 minutes
  hosp-tui --once                               one table, then exit
  hosp-tui --once --json | jq .legs.server      the same for scripts

Exit codes:
  0 done   64 usage   69 agent unreachable (--once)   70 internal error
  128+N ended by signal N (129 hang-up, 130 interrupt, 143 terminate)";

/// The live terminal dashboard of hosp-agent.
#[derive(Debug, Parser)]
#[command(name = "hosp-tui", version, about, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The options of the live view and of `--once`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Feed of an agent: unix:PATH or HOST:PORT; repeat it for a fleet
    #[arg(long = "agent", value_name = "unix:PATH|ADDR", default_value = Address::DEFAULT)]
    pub agents: Vec<Address>,
    /// Print one report and exit; waits up to 5 s for the agents
    #[arg(long)]
    pub once: bool,
    /// With --once: print a JSON object instead of a table
    #[arg(long, requires = "once")]
    pub json: bool,
    /// Time that the figures cover: 10s, 60s, 5m or 15m
    #[arg(long, value_name = "TIME", default_value = "60s", conflicts_with = "once")]
    pub window: Window,
    /// Show this service, and not the busiest one seen on both legs
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Draw with ASCII characters only
    #[arg(long)]
    pub ascii: bool,
    /// Use no colours; a NO_COLOR that is set and not empty does the same
    #[arg(long)]
    pub no_color: bool,
}

/// Reads the process's command line. Help, version and mistakes are printed here, and end the process.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
        // When standard error itself is closed, nobody can be told.
        let _ = error.print();
        std::process::exit(exit.code().into())
    })
}

/// Runs what the command line asks for.
pub fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hosp-tui", &mut script);
            print(&script)?;
            Ok(Exit::Done)
        }
        None if let Some(twice) = twice(&cli.options.agents) => Err(Failure::Twice(twice.clone())),
        None if cli.options.once => once::run(&cli.options),
        None => runtime::run(&cli.options),
    }
}

/// The first agent that is named a second time.
fn twice(agents: &[Address]) -> Option<&Address> {
    agents.iter().enumerate().find(|(at, agent)| agents[..*at].contains(agent)).map(|(_, agent)| agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, clap::Error> {
        Cli::try_parse_from([&["hosp-tui"], args].concat()).map(|cli| cli.options)
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_options_the_agent_of_this_host_is_shown() {
        let options = options(&[]).unwrap();
        assert_eq!(options.agents, [Address::DEFAULT.parse().unwrap()]);
        assert_eq!(options.window, Window::Minute);
    }

    #[test]
    fn several_agents_replace_the_default() {
        let options = options(&["--agent", "a:1", "--agent", "unix:/b"]).unwrap();
        assert_eq!(options.agents, ["a:1".parse().unwrap(), "unix:/b".parse().unwrap()]);
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for args in
            [&["--json"][..], &["--window", "7s"], &["--agent", "nowhere"], &["--once", "--window", "60s"]]
        {
            assert!(options(args).is_err(), "{args:?}");
        }
    }
}
