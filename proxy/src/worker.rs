//! One worker: a thread with its own runtime, listeners, client connections and pools.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use crate::connection;
use crate::latency::Latencies;
use crate::metrics::requests::RequestCounters;
use crate::pool::{Pool, REAP_INTERVAL};
use crate::request_id::Ids;
use crate::shared::Shared;

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs of tasks between two looks at the sockets while there is work.
const EVENT_INTERVAL: u32 = 256;

/// What everything on one worker's thread shares, under one configuration.
#[derive(Debug)]
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Connections to the origins.
    pub pool: Rc<Pool>,
    /// How long the origins take.
    pub latencies: Rc<Latencies>,
    /// Counters of answers.
    pub counters: RequestCounters,
    /// Makes request ids.
    pub ids: Ids,
    /// hyper's server with our settings.
    pub server: http1::Builder,
    /// Whether every answer tells its client to close the connection, because the proxy is going down.
    pub closing: Cell<bool>,
    random: RefCell<SmallRng>,
}

impl Worker {
    /// A worker without any connection.
    pub fn new(shared: Arc<Shared>) -> Self {
        let pool = new_pool(&shared);
        Self::with_pool(shared, pool, Rc::default())
    }

    /// What takes this one's place under another configuration. Idle connections to the origins are kept, and what was
    /// learnt of their latencies, unless the configuration changes what they belong to.
    fn succeed(&self, shared: Arc<Shared>) -> Self {
        let (old, new) = (&self.shared.config, &shared.config);
        let same_origins = Arc::ptr_eq(&self.shared.origins, &shared.origins);
        let same_pool = same_origins && (&old.pool, &old.limits) == (&new.pool, &new.limits);
        let pool = if same_pool { self.pool.clone() } else { new_pool(&shared) };
        // Latencies are known by the place of their route.
        let same_routes = same_origins && old.routes.rules().eq(new.routes.rules());
        let latencies = if same_routes { self.latencies.clone() } else { Rc::default() };
        Self::with_pool(shared, pool, latencies)
    }

    fn with_pool(shared: Arc<Shared>, pool: Rc<Pool>, latencies: Rc<Latencies>) -> Self {
        let mut random: SmallRng = rand::make_rng();
        Self {
            pool,
            latencies,
            counters: RequestCounters::new(&shared.metrics),
            ids: Ids::new(random.next_u64(), random.next_u64()),
            server: connection::server(&shared.config),
            closing: Cell::new(false),
            random: RefCell::new(random),
            shared,
        }
    }

    /// A random number, uniform in 0..1.
    pub fn jitter(&self) -> f64 {
        self.random.borrow_mut().random()
    }

    /// A random number below `below`, each as likely.
    pub fn dice(&self, below: u32) -> u32 {
        self.random.borrow_mut().random_range(0..below)
    }
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything under way was finished.
    Clean,
    /// The time for it was over first.
    Cut,
}

/// The worker under the configuration that counts now: what new requests are handled by.
#[derive(Debug)]
pub struct Current(RefCell<Rc<Worker>>);

impl Current {
    /// The worker for a request that begins now.
    pub fn get(&self) -> Rc<Worker> {
        self.0.borrow().clone()
    }

    /// Whether `worker` is it.
    pub fn is(&self, worker: &Rc<Worker>) -> bool {
        Rc::ptr_eq(&self.0.borrow(), worker)
    }

    fn change(&self, shared: Arc<Shared>) {
        let successor = self.get().succeed(shared);
        *self.0.borrow_mut() = Rc::new(successor);
    }
}

/// Serves on `listeners` until the proxy goes down and what is under way is done.
pub fn run(mut shared: watch::Receiver<Arc<Shared>>, listeners: Vec<StdListener>) -> io::Result<Drained> {
    // Under load, asking the kernel for news four times less often than by default gets more of it at once.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
        let first = shared.borrow_and_update().clone();
        let mut draining = first.draining.clone();
        let current = Rc::new(Current(RefCell::new(Rc::new(Worker::new(first)))));
        // Each connection holds a sender; when all are gone, nothing is under way any more.
        let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
        for listener in listeners {
            tokio::task::spawn_local(accept(current.clone(), listener, alive.clone()));
        }
        drop(alive);
        loop {
            tokio::select! {
                biased;
                // An error means that the one who would ask is gone: the same as being asked.
                _ = draining.wait_for(|draining| *draining) => break,
                Ok(()) = shared.changed() => current.change(shared.borrow_and_update().clone()),
            }
        }
        let worker = current.get();
        worker.closing.set(true);
        let deadline = Instant::now() + worker.shared.config.drain;
        Ok(match timeout_at(deadline, all_gone.recv()).await {
            Ok(_) => Drained::Clean,
            Err(_) => Drained::Cut,
        })
    })
}

/// A pool without any connection.
fn new_pool(shared: &Shared) -> Rc<Pool> {
    let pool = Rc::new(Pool::new(&shared.config));
    tokio::task::spawn_local(reap(Rc::downgrade(&pool)));
    pool
}

/// Closes idle connections in time, for as long as anybody has the pool.
async fn reap(pool: Weak<Pool>) {
    let mut ticks = interval(REAP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.reap();
    }
}

/// Accepts connections until the proxy goes down.
async fn accept(current: Rc<Current>, listener: TcpListener, alive: mpsc::Sender<Infallible>) {
    let mut draining = current.get().shared.draining.clone();
    loop {
        tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => spawn(&current, stream, peer, &alive),
                Err(error) => survive(&error).await,
            },
        }
    }
    // The kernel has completed the handshakes of those in the queue: they would meet a reset. Yielding lets the
    // runtime learn of those that came last.
    tokio::task::yield_now().await;
    while let Poll::Ready(Ok((stream, peer))) =
        std::future::poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await
    {
        spawn(&current, stream, peer, &alive);
    }
}

fn spawn(current: &Rc<Current>, stream: TcpStream, peer: SocketAddr, alive: &mpsc::Sender<Infallible>) {
    let (current, alive) = (current.clone(), alive.clone());
    tokio::task::spawn_local(async move {
        connection::serve(current, stream, peer.ip()).await;
        drop(alive);
    });
}

/// A connection that is gone before it was accepted is nobody's loss; being out of descriptors passes.
async fn survive(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::debug!(%error, "a client left before it was accepted");
    } else {
        tracing::warn!(%error, "cannot accept a connection; trying again shortly");
        sleep(ACCEPT_PAUSE).await;
    }
}
