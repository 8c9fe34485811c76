//! The signals that end or continue the program.

use std::io;

use rustix::process::Signal as Os;
use tokio::signal::unix::{self, SignalKind};

use crate::event::Signal;

/// The signals that end or continue the program.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    go_on: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            go_on: unix::signal(SignalKind::from_raw(Os::CONT.as_raw()))?,
        })
    }

    /// The next signal. Cancelling it loses none.
    pub(super) async fn next(&mut self) -> Signal {
        let end = |os: Os| Signal::End(u8::try_from(os.as_raw()).unwrap_or(u8::MAX));
        tokio::select! {
            _ = self.terminate.recv() => end(Os::TERM),
            _ = self.interrupt.recv() => end(Os::INT),
            _ = self.hang_up.recv() => end(Os::HUP),
            _ = self.go_on.recv() => Signal::Continue,
        }
    }
}
