//! The demo in a terminal: hosp-tui in front, everything else behind it, started again when it dies.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use xtask::child::{Launch, LaunchError, Running};
use xtask::stack::Stack;

use super::{Options, start, told_to_stop};

/// How often we look whether something has died.
const LOOK: Duration = Duration::from_millis(100);
/// How long hosp-tui may take to give the terminal back.
const GRACE: Duration = Duration::from_secs(3);

/// Runs until hosp-tui is quit, or a signal comes.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let told = told_to_stop()?;
    let mut stack = start(options)?;
    stack.start_load(None)?;
    let terminal = Terminal::remember()?;
    let mut tui = open(&stack)?;
    let mut restarts = Vec::new();
    while !told.load(Ordering::Relaxed) {
        match tui.ended() {
            None => {}
            // Killed, like any other component may be: it comes back.
            Some(status) if status.signal().is_some() => {
                terminal.restore();
                tui = open(&stack)?;
            }
            Some(status) => {
                // From 128 on it says which signal ended it, after it had put the terminal right.
                ensure!(
                    status.code().is_some_and(|code| code == 0 || code >= 128),
                    "hosp-tui failed ({status})"
                );
                break;
            }
        }
        restarts.extend(stack.revive()?);
        thread::sleep(LOOK);
    }
    tui.stop(GRACE);
    if !restarts.is_empty() {
        let names: Vec<String> = restarts.iter().map(ToString::to_string).collect();
        eprintln!("demo: started again after they had died: {}", names.join(", "));
    }
    Ok(())
}

fn open(stack: &Stack) -> Result<Running, LaunchError> {
    Launch::new("hosp-tui", stack.tui()).args([format!("--agent={}", stack.feed())]).terminal().spawn()
}

/// The terminal's settings as they were: a hosp-tui that was killed leaves it raw, and its successor would take
/// that for the state to restore.
#[derive(Debug)]
struct Terminal(Termios);

impl Terminal {
    fn remember() -> anyhow::Result<Self> {
        Ok(Self(tcgetattr(std::io::stdin()).context("cannot read the terminal's settings")?))
    }

    fn restore(&self) {
        // An error means that the terminal is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}
