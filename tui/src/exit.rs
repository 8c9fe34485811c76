//! How the program ends: exit codes (those of `sysexits.h` where one fits) and the failures behind them.

use std::io;
use std::process::ExitCode;

use crate::address::Address;

/// Why the program ended, as its exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the user quit, or the report is complete.
    Done,
    /// 64: the command line asks for something impossible.
    Usage,
    /// 69: `--once` did not reach every agent.
    Unavailable,
    /// 70: a fault of this program or of the terminal.
    Internal,
    /// 128 plus the signal's number, as shells write it.
    Signalled(u8),
}

impl Exit {
    /// The code that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Signalled(signal) => 128_u8.saturating_add(signal),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure that ends the program.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no terminal to draw on.
    #[error(
        "standard output is not a terminal, and the live view needs one: \
         use --once for a table, or --once --json for scripts"
    )]
    NoTerminal,
    /// One agent would count twice.
    #[error("--agent {0} is given twice, and would count twice; name each agent once")]
    Twice(Address),
    /// The terminal refused to be set up, drawn on or read.
    #[error("the terminal failed: {0}")]
    Terminal(#[source] io::Error),
    /// The system refused something that always works on a healthy machine.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// What was asked for could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

impl Failure {
    /// The exit code that this failure leads to.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoTerminal | Self::Twice(_) => Exit::Usage,
            Self::Terminal(_) | Self::System { .. } | Self::Output(_) => Exit::Internal,
        }
    }
}
