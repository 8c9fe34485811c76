//! The agent's HTTP servers: accepts connections within limits, and ends them in order.

pub mod feed;
pub mod metrics;
mod places;
mod reply;
mod stall;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

pub use reply::Body;

use self::places::{Places, Pulse};
use crate::endpoint::{Bound, SocketFile};

/// What one server puts up with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections.
    pub connections: usize,
    /// When there are so many, one whose peer has taken nothing for so long gives way to the next. Longer than the
    /// feed's interval: who follows it is never quiet.
    pub quiet: Duration,
    /// How long a reader may leave what it is sent untaken before it is dropped.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, quiet: Duration::from_secs(2), patience: Duration::from_secs(10) }
    }
}

/// Longest time for a request's head to arrive, and so for a connection to be idle.
const HEAD: Duration = Duration::from_secs(60);

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Longest time for the last answers once the agent stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Answers the requests of one server.
pub trait Site: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// A server, about to run.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    /// Removes the socket's file when the server ends.
    _file: Option<SocketFile>,
    limits: Limits,
    stalled: IntCounter,
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// What both kinds of connections can do.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

impl Server {
    /// A server on `bound`, within a tokio runtime. Readers that are dropped are counted in `stalled`.
    pub fn new(bound: Bound, limits: Limits, stalled: IntCounter) -> io::Result<Self> {
        let (listener, file) = match bound {
            Bound::Unix { listener, file } => (Listener::Unix(UnixListener::from_std(listener)?), Some(file)),
            Bound::Tcp(listener) => (Listener::Tcp(TcpListener::from_std(listener)?), None),
        };
        Ok(Self { listener, _file: file, limits, stalled })
    }

    /// Serves `site` until `stop` turns true, then lets the answers under way end.
    pub async fn run<S: Site>(self, site: Arc<S>, stop: watch::Receiver<bool>) {
        let Limits { connections, quiet, .. } = self.limits;
        let mut places = Places::new(connections, quiet, self.stalled.clone());
        let mut stopping = pin!(stopped(stop.clone()));
        loop {
            let accepted = async {
                let stream = self.listener.accept().await;
                places.free().await;
                stream
            };
            let stream = tokio::select! {
                stream = accepted => stream,
                () = &mut stopping => break,
            };
            match stream {
                Ok(stream) => {
                    let pulse = Pulse::new();
                    let connection = self.connection(stream, pulse.clone(), site.clone(), stop.clone());
                    places.take(pulse, connection);
                }
                // Out of descriptors, most likely: without a pause this would spin.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        if !places.drain(DRAIN).await {
            tracing::debug!("some readers were cut off");
        }
    }

    fn connection<S: Site>(
        &self,
        stream: Box<dyn Stream>,
        pulse: Pulse,
        site: Arc<S>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let stalled = self.stalled.clone();
        let stream = TokioIo::new(stall::Impatient::new(stream, self.limits.patience, pulse));
        let service = service_fn(move |request| {
            let site = site.clone();
            async move { Ok::<_, Infallible>(site.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(MAX_HEAD)
            .serve_connection(stream, service);
        async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopped(stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                stalled.inc_by(u64::from(is_stall(&error)));
                tracing::debug!(%error, "a connection ended early");
            }
        }
    }
}

/// Whether the peer took nothing for too long, among all the reasons why a connection may end.
fn is_stall(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|source| source.kind() == io::ErrorKind::TimedOut)
}

/// Waits until `stop` is true, or can never become so.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
