//! The running program: starts the proxy and does what signals ask for.
//!
//! SIGHUP reloads the configuration; SIGTERM and SIGINT drain, and a second one stops at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Flags;
use crate::config::Config;
use crate::config::load::load;
use crate::metrics::ReloadResult;
use crate::server::{Server, ServerError};
use crate::worker::Drained;

/// Why the program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No way to hear of a signal.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
    /// The proxy did not start, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Reload,
    Stop(&'static str),
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}

/// Serves as `config` says, which came of `flags`, until a signal ends it. Must run within a local task set.
pub async fn run(flags: &Flags, config: Config) -> Result<Drained, RunError> {
    let mut signals = Signals::listen().map_err(RunError::Signals)?;
    let origins: Vec<String> = config.origins.iter().map(ToString::to_string).collect();
    let server = Server::start(config).await?;
    for address in server.listening() {
        tracing::info!(%address, origins = origins.join(" "), "listening");
    }
    tracing::info!(admin = %server.admin(), "admin interface");

    let (drainer, reloader, metrics) = (server.drainer(), server.reloader(), server.shared().metrics.clone());
    let mut draining = false;
    let mut ended = std::pin::pin!(server.wait());
    loop {
        let wish = tokio::select! {
            outcome = &mut ended => return Ok(outcome?),
            wish = signals.next() => wish,
        };
        match wish {
            Wish::Stop(signal) if draining => {
                tracing::warn!(signal, "second signal: stopping at once");
                return Ok(Drained::Cut);
            }
            Wish::Stop(signal) => {
                tracing::info!(signal, "finishing what is under way; a second signal stops at once");
                draining = true;
                drainer.drain();
            }
            Wish::Reload if draining => tracing::warn!("not reloading: the proxy is going down"),
            Wish::Reload => {
                let reloaded = load(flags)
                    .map_err(|error| error.to_string())
                    .and_then(|config| reloader.reload(config).map_err(|error| error.to_string()));
                let result = match reloaded {
                    Ok(changed) if changed.is_empty() => {
                        tracing::info!("configuration read again: nothing has changed");
                        ReloadResult::Applied
                    }
                    Ok(changed) => {
                        tracing::info!(changed = changed.join(" "), "configuration reloaded");
                        ReloadResult::Applied
                    }
                    Err(error) => {
                        tracing::error!(%error, "configuration refused; the old one stays");
                        ReloadResult::Refused
                    }
                };
                metrics.reloads[result.index()].inc();
            }
        }
    }
}
