//! Client connections to one server: kept alive, as many as the load needs, one request at a time on each.

use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Idle connections older than this are not used again: far below any server's own limit, so that no
/// request meets a connection that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(2);

type Sender = SendRequest<Full<Bytes>>;

/// Connections to one server.
#[derive(Debug)]
pub struct Connections {
    target: SocketAddr,
    /// Idle connections, most recently used last.
    idle: Mutex<Vec<(Sender, Instant)>>,
}

/// A connection that carries an answer; to be given back with [`Connections::keep`] after its last byte.
#[derive(Debug)]
pub struct Lease(Sender);

/// Why no answer began.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection could be made.
    #[error("no connection: {0}")]
    Unsent(#[source] Box<dyn Error + Send + Sync>),
    /// The connection ended, or carried something that is no answer.
    #[error("no answer: {0}")]
    Unanswered(#[source] hyper::Error),
}

impl Connections {
    /// None yet, to `target`.
    pub fn new(target: SocketAddr) -> Self {
        Self { target, idle: Mutex::default() }
    }

    /// Sends one request, and gives the answer's head.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), NoAnswer> {
        loop {
            let mut sender = match self.take_idle() {
                Some(sender) => sender,
                None => self.connect().await.map_err(NoAnswer::Unsent)?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease(sender))),
                Err(mut error) => match error.take_message() {
                    // Given back, so not a byte was written: the connection had been closed while idle.
                    Some(unsent) => request = unsent,
                    None => return Err(NoAnswer::Unanswered(error.into_error())),
                },
            }
        }
    }

    /// Takes a connection back whose answer has been read. Apart, because what happens after the last byte is
    /// not the client's latency.
    pub fn keep(self: &Arc<Self>, Lease(mut sender): Lease) {
        let connections = Arc::clone(self);
        tokio::spawn(async move {
            // Ready as soon as the connection's task has seen the end of the answer; an error means closed.
            if poll_fn(|context| sender.poll_ready(context)).await.is_ok() {
                connections.idle().push((sender, Instant::now()));
            }
        });
    }

    async fn connect(&self) -> Result<Sender, Box<dyn Error + Send + Sync>> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors reach the request that it carries; between requests nobody misses it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The most recently used connection, so that those that the rate does not need grow old and go.
    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|(sender, since)| sender.is_ready() && since.elapsed() < IDLE_MAX);
        idle.pop().map(|(sender, _)| sender)
    }

    /// The idle connections; the list stays whole even when a holder of the lock has panicked.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Sender, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
