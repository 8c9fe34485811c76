//! The origin as one contender sees it: its endpoints listen, refuse and listen again as the scenario says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection;
use super::ledger::Ledger;
use super::scenario::{Scenario, Sky};

/// One contender's origin.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) scenario: &'static Scenario,
    pub(super) seed: u64,
    requests: u64,
    start: Instant,
    ledger: Mutex<Ledger>,
    checks: AtomicU32,
}

impl Origin {
    /// An origin for a run that begins at `start`.
    pub(super) fn new(scenario: &'static Scenario, seed: u64, requests: u64, start: Instant) -> Self {
        let ledger = Mutex::new(Ledger::new(requests));
        Self { scenario, seed, requests, start, ledger, checks: AtomicU32::new(0) }
    }

    /// The time of the run; zero before its beginning.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The state of the origin as a whole.
    pub(super) fn sky(&self) -> Sky {
        self.scenario.sky(self.requests, self.now())
    }

    /// The number of an active check that has arrived.
    pub(super) fn next_check(&self) -> u32 {
        self.checks.fetch_add(1, Ordering::Relaxed)
    }

    /// Its books; they stay true even when a holder of the lock has panicked.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves at `address` as the endpoint of this number, until it is dropped or cannot listen again.
    pub(super) async fn serve(
        self: Arc<Self>,
        endpoint: usize,
        address: SocketAddr,
        mut listener: TcpListener,
    ) -> std::io::Result<()> {
        let refusing = self.scenario.spells(self.requests).filter(|(_, sky)| *sky == Sky::Refusing);
        for (during, _) in refusing.collect::<Vec<_>>() {
            let closing = CancellationToken::new();
            let until = tokio::time::sleep_until(self.start + during.start);
            let take = |stream| self.connected(endpoint, stream, &closing);
            tokio::select! {
                () = accept(&listener, take) => {}
                () = until => {}
            }
            // Who has been let in is served: dropping the listener would reset the connections in its queue.
            while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
                take(stream);
            }
            drop(listener);
            closing.cancel();
            tokio::time::sleep_until(self.start + during.end).await;
            listener = TcpListener::bind(address).await?;
        }
        let never = CancellationToken::new();
        accept(&listener, |stream| self.connected(endpoint, stream, &never)).await;
        Ok(())
    }

    fn connected(self: &Arc<Self>, endpoint: usize, stream: TcpStream, closing: &CancellationToken) {
        tokio::spawn(connection::serve(stream, Arc::clone(self), endpoint, closing.clone()));
    }
}

async fn accept(listener: &TcpListener, take: impl Fn(TcpStream)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream),
            // Out of descriptors or memory for a moment: the kernel keeps the connection waiting.
            Err(error) => {
                eprintln!("chaos-rig: accept: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}
