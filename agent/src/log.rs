//! Diagnostics, on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// Writes diagnostics from now on; `HOSP_LOG` says which (`info` by default, `debug`, `hosp_agent::proxy=debug`).
/// Coloured on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var("HOSP_LOG")
        .from_env_lossy();
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(colour)
        .with_target(false)
        // Told on standard error, by a macro that panics when that is what is full: a disk must not end the agent.
        .log_internal_errors(false)
        .init();
}
