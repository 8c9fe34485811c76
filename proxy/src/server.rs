//! The whole proxy: starts the workers and the admin interface, and ends them in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::admin::{self, socket::AdminError, socket::AdminListener};
use crate::config::{AdminAddr, Config};
use crate::handover::Inherited;
use crate::handover::doors::Doors;
use crate::handover::give::Sockets;
use crate::health::prober;
use crate::listen::{self, ListenError};
use crate::reload::Reloader;
use crate::shared::Shared;
use crate::worker::{self, Drained};

/// Why the proxy does not start, or did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin interface cannot listen.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A listening socket cannot be used.
    #[error("cannot use a listening socket: {0}")]
    Sockets(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// A worker's runtime failed.
    #[error("a worker could not run: {0}")]
    Worker(#[source] io::Error),
    /// A worker ended by a panic; the message is on standard error.
    #[error("a worker ended by a panic: this is a bug in hosp-proxy")]
    Panic,
}

/// Ends a proxy.
#[derive(Clone, Debug)]
pub struct Drainer {
    drain: watch::Sender<bool>,
    doors: Doors,
}

impl Drainer {
    /// Stops accepting connections and lets what is under way finish, within the configured time.
    pub fn drain(&self) {
        self.doors.close();
        self.drain.send_replace(true);
    }
}

/// A running proxy. Dropped without [`Server::wait`], its threads end by themselves after a drain.
#[derive(Debug)]
pub struct Server {
    shared: watch::Sender<Arc<Shared>>,
    listening: Vec<SocketAddr>,
    admin: AdminAddr,
    took_admin: bool,
    drainer: Drainer,
    workers: usize,
    ended: mpsc::Receiver<Result<Drained, ServerError>>,
}

impl Server {
    /// Starts the proxy, on the sockets that it has `inherited` where they are those that `config` asks for. The admin
    /// interface runs on the calling thread's local task set.
    pub async fn start(config: Config, mut inherited: Inherited) -> Result<Self, ServerError> {
        let (drain, draining) = watch::channel(false);
        let listening = config
            .listen
            .iter()
            .map(|address| listen::bind(*address, config.workers, inherited.claim(*address)))
            .collect::<Result<Vec<_>, _>>()?;
        let adopted = match inherited.claim_admin() {
            Some(socket) => AdminListener::adopt(&config.admin, socket).map_err(ServerError::Sockets)?,
            None => None,
        };
        let took_admin = adopted.is_some();
        let admin_listener = match adopted {
            Some(adopted) => adopted,
            None => AdminListener::bind(&config.admin).await?,
        };
        let doors = Doors::new(Sockets {
            listeners: listening
                .iter()
                .flatten()
                .map(TcpListener::try_clone)
                .collect::<io::Result<_>>()
                .map_err(ServerError::Sockets)?,
            admin: Some(admin_listener.copy().map_err(ServerError::Sockets)?),
        });
        let admin = admin_listener.address().map_err(ServerError::Worker)?;
        let addresses = listening
            .iter()
            .map(|sockets| sockets[0].local_addr())
            .collect::<Result<_, _>>()
            .map_err(ServerError::Worker)?;
        let workers = config.workers;
        let shared = Shared::new(config, draining).map_err(ServerError::Thread)?;
        let (shared, current) = watch::channel(Arc::new(shared));
        tokio::task::spawn_local(admin::serve(admin_listener, current.clone(), doors.admin_left()));
        tokio::task::spawn_local(prober::keep(current.clone()));

        let (ending, ended) = mpsc::channel(workers.get());
        let workers = by_worker(listening, workers)
            .into_iter()
            .enumerate()
            .map(|(number, sockets)| {
                let (current, ending) = (current.clone(), ending.clone());
                let work = AssertUnwindSafe(move || worker::run(current, sockets));
                std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || report(ending, work))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(ServerError::Thread)?
            .len();
        let drainer = Drainer { drain, doors };
        Ok(Self { shared, listening: addresses, admin, took_admin, drainer, workers, ended })
    }

    /// The addresses that clients are accepted on, with the ports that were found for port 0.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Where the admin interface listens.
    pub fn admin(&self) -> &AdminAddr {
        &self.admin
    }

    /// What all workers share, under the configuration that counts now.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.borrow().clone()
    }

    /// A handle that can give the proxy a new configuration while somebody waits for it.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.shared.clone())
    }

    /// Whether the admin interface's socket is an inherited one.
    pub fn took_admin(&self) -> bool {
        self.took_admin
    }

    /// The sockets for a successor.
    pub fn doors(&self) -> Doors {
        self.drainer.doors.clone()
    }

    /// A handle that can end the proxy while somebody waits for it.
    pub fn drainer(&self) -> Drainer {
        self.drainer.clone()
    }

    /// Waits until all workers have ended. When one fails, the others are drained: a proxy that serves with some
    /// of its threads only looks healthy and is not.
    pub async fn wait(mut self) -> Result<Drained, ServerError> {
        let mut outcome = Ok(Drained::Clean);
        for _ in 0..self.workers {
            let ended = self.ended.recv().await.unwrap_or(Err(ServerError::Panic));
            match ended {
                Ok(Drained::Clean) => {}
                Ok(Drained::Cut) if outcome.is_ok() => outcome = Ok(Drained::Cut),
                Ok(Drained::Cut) => {}
                Err(error) => {
                    self.drainer.drain();
                    outcome = outcome.and(Err(error));
                }
            }
        }
        if let Some(access) = &self.shared().access {
            access.flush();
        }
        outcome
    }
}

/// Runs a worker and reports how it ended, a panic included.
fn report(
    ended: mpsc::Sender<Result<Drained, ServerError>>,
    work: impl FnOnce() -> io::Result<Drained> + std::panic::UnwindSafe,
) {
    let outcome = match std::panic::catch_unwind(work) {
        Ok(outcome) => outcome.map_err(ServerError::Worker),
        Err(_) => Err(ServerError::Panic),
    };
    // Nobody waits: then nobody wants to know.
    let _ = ended.blocking_send(outcome);
}

/// Regroups sockets from one list per address to one list per worker. Where a predecessor had more workers, some get two
/// sockets of an address, and with them more than their share of its connections.
fn by_worker(by_address: Vec<Vec<TcpListener>>, workers: NonZeroUsize) -> Vec<Vec<TcpListener>> {
    let mut groups: Vec<Vec<_>> = (0..workers.get()).map(|_| Vec::new()).collect();
    for sockets in by_address {
        for (at, socket) in sockets.into_iter().enumerate() {
            groups[at % workers].push(socket);
        }
    }
    groups
}
