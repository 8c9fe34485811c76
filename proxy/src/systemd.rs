//! Tells systemd how this process is doing (`Type=notify`). Without systemd, nothing is told.

use sd_notify::NotifyState;

/// This process serves, and is the service's main process from now on: it may have taken another one's place.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
}

/// The service is going down.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told how this process is doing");
    }
}
