//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Ports;
use crate::endpoint::Endpoint;

/// Observes every HTTP/1 request on this host's TCP sockets with eBPF, and shows the result as Prometheus metrics
/// and a live feed.
#[derive(Clone, Debug, Parser)]
#[command(name = "hosp-agent", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do instead of observing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to observe.
    #[command(flatten)]
    pub options: Options,
}

const AFTER_HELP: &str = "\
Examples:
  sudo hosp-agent                              observe everything, with the defaults
  sudo hosp-agent --config /etc/hosp/agent.toml
  sudo hosp-agent --cgroup /sys/fs/cgroup/system.slice --feed 127.0.0.1:9465
  hosp-agent check --config /etc/hosp/agent.toml
  sudo hosp-agent doctor                       what this host lacks, if anything
  curl http://127.0.0.1:9464/metrics
  curl --unix-socket /run/hosp/agent.sock http://agent/v1/snapshot

Environment: HOSP_LOG says what is logged (info by default; warn, debug, hosp_agent::proxy=debug,
bpf=debug for what the eBPF programs say of themselves),
a NO_COLOR that is set and not empty switches colours off.

Exit status: 0 stopped by a signal, 64 bad command line, 69 something needed is missing or in use,
70 failed while running, 77 not permitted, 78 bad configuration; doctor: 1 something is missing.";

/// What to do instead of observing.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show whether this host has all that hosp-agent needs, and how to get what is missing.
    Doctor {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// What would be observed.
        #[command(flatten)]
        options: Options,
    },
    /// Check a configuration file and exit: 0 when it is right, 78 when it is not.
    Check {
        /// The file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print a completion script.
    Completions {
        /// The shell to print it for.
        shell: Shell,
    },
}

/// How to observe. Flags override the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// Configuration file, in TOML.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to serve /metrics [default: 127.0.0.1:9464].
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<Endpoint>,
    /// Where to serve the live feed [default: unix:/run/hosp/agent.sock].
    #[arg(long, value_name = "unix:PATH|ADDR")]
    pub feed: Option<Endpoint>,
    /// Observe the sockets of this cgroup and of those below it [default: the root of cgroup v2].
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Observe only connections to these ports of servers, such as 80,8080: at most 16 [default: all].
    #[arg(long, value_name = "PORT,...")]
    pub ports: Option<Ports>,
    /// Tell how long requests lie in the kernel before their server reads them (Linux 6.3); a program runs at every
    /// read of every socket for it.
    #[arg(long)]
    pub unread: bool,
    /// Log every request to this file, one JSON object per line; opened again on SIGHUP [default: no log].
    #[arg(long, value_name = "FILE")]
    pub request_log: Option<PathBuf>,
    /// Have the kernel measure what the BPF programs cost; the measuring costs time itself.
    #[arg(long)]
    pub bpf_stats: bool,
    /// Admin address of hosp-proxy, asked once a second [default: unix:/run/hosp/proxy.sock].
    #[arg(long, value_name = "unix:PATH|ADDR")]
    pub proxy: Option<Endpoint>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_observing_do_not_mix_with_commands() {
        assert!(Cli::try_parse_from(["hosp-agent", "--bpf-stats", "doctor"]).is_err());
        let cli = Cli::try_parse_from(["hosp-agent", "doctor", "--json", "--feed", "127.0.0.1:1"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Doctor { json: true, .. })));
    }
}
