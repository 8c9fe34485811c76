//! Whether the origins as a whole are asked at all: while all that comes back are failures, clients are told at once,
//! and a request now and then finds out whether that is still so.
//!
//! [`circuit`] decides; here it is shared by all workers, at the cost of one look at a flag while all is well.

mod circuit;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

pub use circuit::{BreakerConfig, Cause, Change, Circuit, Verdict};

/// The breaker of all origins together.
#[derive(Debug)]
pub struct Breaker {
    /// Whether the circuit needs to hear of failures only: it is closed, and the last try did not fail.
    calm: AtomicBool,
    open: AtomicBool,
    circuit: Mutex<Circuit>,
    opened: Notify,
}

impl Breaker {
    /// A breaker that lets everything pass.
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            calm: AtomicBool::new(true),
            open: AtomicBool::new(false),
            circuit: Mutex::new(Circuit::new(config)),
            opened: Notify::new(),
        }
    }

    /// Whether a try may be made now; `harmless` if it may be repeated.
    pub fn admit(&self, now: Instant, harmless: bool) -> Verdict {
        if self.open.load(Relaxed) {
            self.change(|circuit| circuit.admit(now, harmless))
        } else {
            Verdict::Pass
        }
    }

    /// A try that began at `started` was answered as it should be.
    pub fn succeeded(&self, started: Instant) -> Option<Change> {
        if self.calm.load(Relaxed) { None } else { self.change(|circuit| circuit.succeeded(started)) }
    }

    /// A connection was made that was begun at `started`.
    pub fn connected(&self, started: Instant) -> Option<Change> {
        if self.calm.load(Relaxed) { None } else { self.change(|circuit| circuit.connected(started)) }
    }

    /// A try failed that began at `started`.
    pub fn failed(&self, cause: Cause, started: Instant, now: Instant) -> Option<Change> {
        let change = self.change(|circuit| circuit.failed(cause, started, now));
        if matches!(change, Some(Change::Opened(_))) {
            self.opened.notify_one();
        }
        change
    }

    /// Whether further tries of a request are in vain.
    pub fn is_failing(&self) -> bool {
        self.cause() == Some(Cause::Failing)
    }

    /// Why it is open, if it is.
    pub fn cause(&self) -> Option<Cause> {
        if self.open.load(Relaxed) { self.lock().cause() } else { None }
    }

    /// Waits until it opens. Only one may wait.
    pub async fn opened(&self) {
        self.opened.notified().await;
    }

    fn change<T>(&self, act: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut circuit = self.lock();
        let result = act(&mut circuit);
        // Within the lock, so that flags never stay behind what they tell of.
        self.calm.store(circuit.is_calm(), Relaxed);
        self.open.store(circuit.cause().is_some(), Relaxed);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
