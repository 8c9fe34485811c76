//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::file::Tries;
use crate::config::units::PositivePeriod;
use crate::config::{AdminAddr, LogFormat, Profile};
use crate::origin::Origin;
use crate::route::explain::Question;

const EXAMPLES: &str = "\
Examples:
  Retry and cache in front of one flaky server:
    hosp-proxy --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000

  The first attempt's settings (5 tries, 3 s apart, 2 minutes of cache), admin interface on TCP:
    hosp-proxy --listen 0.0.0.0:80 --origin http://hosp.internal --profile classic --admin 127.0.0.1:9465

  Everything else in a file, checked before it is used:
    hosp-proxy check --config /etc/hosp/proxy.toml
    hosp-proxy check --config /etc/hosp/proxy.toml --explain 'POST /patients/1/notes'
    hosp-proxy --config /etc/hosp/proxy.toml

Exit status: 0 after a graceful stop, 64 for wrong flags, 78 for a wrong configuration, 1 otherwise.";

/// Makes an unreliable HTTP origin reliable: retries, cache, drain.
#[derive(Debug, Parser)]
#[command(name = "hosp-proxy", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub flags: Flags,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a configuration file and say what is wrong with it.
    Check {
        /// The file to check.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Say how a request would be treated, and by which setting, such as "POST /patients/1/notes".
        #[arg(long, value_name = "METHOD PATH")]
        explain: Option<Question>,
    },
    /// Print a completion script.
    Completions {
        /// The shell to print it for.
        shell: clap_complete::Shell,
    },
}

/// How to serve. Flags override the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Address to accept clients on; may be given several times.
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,
    /// Origin to pass requests to, as http://HOST[:PORT]; may be given several times.
    #[arg(long, value_name = "URL")]
    pub origin: Vec<Origin>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where /metrics, /healthz, /readyz and /v1/facts are served [default: unix:/run/hosp/proxy.sock].
    #[arg(long, value_name = "ADDR|unix:PATH")]
    pub admin: Option<AdminAddr>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Time from a request's last byte to the answer's head, all tries together [default: 30s].
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<PositivePeriod>,
    /// Tries in all, 1 to 20 [default: 5].
    #[arg(long, value_name = "N", value_parser = tries)]
    pub tries: Option<u32>,
    /// Set of defaults [default: standard].
    #[arg(long, value_name = "NAME")]
    pub profile: Option<Profile>,
    /// Write one line of JSON per request to standard output.
    #[arg(long)]
    pub access_log: bool,
    /// Take over the sockets on standard input: how a running hosp-proxy starts its successor.
    #[arg(long, hide = true)]
    pub take_over: bool,
    /// Form of the messages on standard error [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

fn tries(text: &str) -> Result<u32, String> {
    let n: u32 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    Tries::try_from(n).map(|t| t.0).map_err(|e| e.to_string())
}

/// The flags of `args`, for tests and for programs that embed the proxy.
///
/// # Panics
/// When `args` are no valid command line.
pub fn flags<'a>(args: impl Iterator<Item = &'a str>) -> Flags {
    Cli::try_parse_from(args).expect("a valid command line").flags
}

/// Writes the completion script of `shell` to `out`.
pub fn completions(shell: clap_complete::Shell, out: &mut dyn std::io::Write) {
    clap_complete::generate(shell, &mut Cli::command(), "hosp-proxy", out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_flags_are_told_from_right_ones() {
        let check = |args: &str, part: Option<&str>| {
            let got = Cli::try_parse_from(std::iter::once("hosp-proxy").chain(args.split_whitespace()));
            let text = got.err().map(|e| e.to_string());
            match (part, &text) {
                (None, None) => {}
                (Some(part), Some(text)) => assert!(text.contains(part), "{text}"),
                _ => panic!("{args}: {text:?}"),
            }
        };
        check("--listen 127.0.0.1:0 --origin http://a --admin unix:/tmp/x --deadline 5s", None);
        check("check --config x.toml", None);
        check("check --config x.toml --explain GET", Some("method and path"));
        check("completions bash", None);
        check("--origin ftp://a", Some("cleartext"));
        check("--tries 0", Some("at least 1"));
        check("--deadline 0s", Some("longer than zero"));
        check("--admin /run/x", Some("neither unix:PATH"));
        check("--nonsense", Some("unexpected argument"));
    }
}
