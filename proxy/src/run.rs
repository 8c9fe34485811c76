//! The running program: starts the proxy and does what signals ask for.
//!
//! SIGHUP reloads the configuration; SIGUSR2 hands over to a new process; SIGTERM and SIGINT drain, and a second one
//! stops at once.

mod signals;

use std::io;

use tokio::task::JoinHandle;

use crate::cli::Flags;
use crate::config::Config;
use crate::config::load::load;
use crate::handover::Inherited;
use crate::handover::doors::Doors;
use crate::handover::give::{GiveError, Invocation, Successor, give};
use crate::handover::take::{Predecessor, TakeError, take};
use crate::metrics::ReloadResult;
use crate::reload::Reloader;
use crate::server::{Drainer, Server, ServerError};
use crate::systemd;
use crate::worker::Drained;
use signals::{Signals, Wish};

/// Why the program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No way to hear of a signal.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
    /// The path that the program was started from is gone.
    #[error("cannot tell how this program was started: {0}")]
    Invocation(#[source] io::Error),
    /// Nothing to take over.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// The proxy did not start, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Serves as `config` says, which came of `flags`, until a signal ends it. Must run within a local task set.
pub async fn run(flags: &Flags, config: Config) -> Result<Drained, RunError> {
    let mut signals = Signals::listen().map_err(RunError::Signals)?;
    let invocation = Invocation::own().map_err(RunError::Invocation)?;
    let (inherited, predecessor) = match flags.take_over {
        true => take().map(|(inherited, predecessor)| (inherited, Some(predecessor)))?,
        false => (Inherited::default(), None),
    };
    let origins: Vec<String> = config.origins.iter().map(ToString::to_string).collect();
    let server = Server::start(config, inherited).await?;
    for address in server.listening() {
        tracing::info!(%address, origins = origins.join(" "), "listening");
    }
    tracing::info!(admin = %server.admin(), "admin interface");
    systemd::ready();
    if let Some(predecessor) = predecessor {
        dismiss(predecessor, server.took_admin());
    }

    let mut program = Program {
        flags,
        invocation,
        drainer: server.drainer(),
        reloader: server.reloader(),
        doors: server.doors(),
        phase: Phase::Serving,
    };
    let metrics = server.shared().metrics.clone();
    let mut ended = std::pin::pin!(server.wait());
    loop {
        tokio::select! {
            outcome = &mut ended => return Ok(outcome?),
            result = program.handed_over() => program.end_hand_over(result),
            wish = signals.next() => match wish {
                Wish::Reload => {
                    if let Some(result) = program.reload() {
                        metrics.reloads[result.index()].inc();
                    }
                }
                Wish::HandOver => program.begin_hand_over(),
                Wish::Stop(signal) => {
                    if program.stop(signal) == Stop::AtOnce {
                        return Ok(Drained::Cut);
                    }
                }
            },
        }
    }
}

fn dismiss(predecessor: Predecessor, took_admin: bool) {
    match predecessor.dismiss(took_admin) {
        Ok(()) => tracing::info!(pid = std::process::id(), "took over; the process before this one drains"),
        // It serves the same sockets. Two are better than none.
        Err(error) => {
            tracing::warn!(%error, "the process before this one is gone, or cannot be told to drain")
        }
    }
}

/// What the program is about.
enum Phase {
    Serving,
    /// A successor is being started.
    HandingOver(JoinHandle<Result<Successor, GiveError>>),
    /// A successor serves; this process finishes what it has begun.
    Replaced,
    /// A signal has asked for the end.
    Stopping,
}

/// How the program stops.
#[derive(PartialEq, Eq)]
enum Stop {
    Gracefully,
    AtOnce,
}

struct Program<'a> {
    flags: &'a Flags,
    invocation: Invocation,
    drainer: Drainer,
    reloader: Reloader,
    doors: Doors,
    phase: Phase,
}

impl Program<'_> {
    /// Gives the proxy the configuration as it is now; `None` when it is too late for that.
    fn reload(&self) -> Option<ReloadResult> {
        if matches!(self.phase, Phase::Replaced | Phase::Stopping) {
            tracing::warn!("not reloading: this process is going down");
            return None;
        }
        let reloaded = load(self.flags)
            .map_err(|error| error.to_string())
            .and_then(|config| self.reloader.reload(config).map_err(|error| error.to_string()));
        Some(match reloaded {
            Ok(changed) => {
                let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(" ") };
                tracing::info!(changed, "configuration reloaded");
                ReloadResult::Applied
            }
            Err(error) => {
                tracing::error!(error, "configuration refused; the old one stays");
                ReloadResult::Refused
            }
        })
    }

    fn begin_hand_over(&mut self) {
        if !matches!(self.phase, Phase::Serving) {
            tracing::warn!("not handing over: that is under way, or this process is going down");
            return;
        }
        match self.doors.copies() {
            Ok(Some(sockets)) => {
                tracing::info!("starting a new process to take over");
                let invocation = self.invocation.clone();
                let giving = tokio::task::spawn_local(async move { give(&invocation, sockets).await });
                self.phase = Phase::HandingOver(giving);
            }
            Ok(None) => tracing::warn!("not handing over: this process no longer listens"),
            Err(error) => tracing::error!(%error, "cannot hand over; this process goes on"),
        }
    }

    /// What came of a hand-over; pending while there is none.
    async fn handed_over(&mut self) -> Result<Successor, GiveError> {
        match &mut self.phase {
            Phase::HandingOver(giving) => {
                giving.await.unwrap_or_else(|error| Err(GiveError::Sockets(io::Error::other(error))))
            }
            _ => std::future::pending().await,
        }
    }

    fn end_hand_over(&mut self, result: Result<Successor, GiveError>) {
        match result {
            Ok(Successor { pid, took_admin }) => {
                tracing::info!(pid, "handed over; finishing what is under way");
                if took_admin {
                    self.doors.leave_admin();
                }
                self.phase = Phase::Replaced;
                self.drainer.drain();
            }
            Err(error) => {
                tracing::error!(%error, "not handed over; this process goes on");
                self.phase = Phase::Serving;
            }
        }
    }

    fn stop(&mut self, signal: &'static str) -> Stop {
        match std::mem::replace(&mut self.phase, Phase::Stopping) {
            Phase::Stopping => {
                tracing::warn!(signal, "second signal: stopping at once");
                return Stop::AtOnce;
            }
            // A service manager that stops the service tells both. This one is draining already.
            Phase::Replaced => {
                tracing::info!(signal, "finishing what is under way already; a second signal stops at once");
                return Stop::Gracefully;
            }
            // Whoever wants the service to end wants no new process.
            Phase::HandingOver(giving) => giving.abort(),
            Phase::Serving => {}
        }
        tracing::info!(signal, "finishing what is under way; a second signal stops at once");
        systemd::stopping();
        self.drainer.drain();
        Stop::Gracefully
    }
}
