//! Connections of the load generator: kept alive, as many as the schedule needs, one request at a time on each.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http::{Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::plan::Planned;
use super::report::Outcome;

/// Idle connections older than this are not used again: far below any server's own limit, so that no
/// request meets a connection that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(2);

type Sender = SendRequest<Full<Bytes>>;

/// Sends requests to one server.
#[derive(Debug)]
pub(super) struct Client {
    target: SocketAddr,
    host: String,
    timeout: Duration,
    /// Idle connections, most recently used last.
    idle: Mutex<Vec<(Sender, Instant)>>,
}

impl Client {
    pub(super) fn new(target: SocketAddr, timeout: Duration) -> Self {
        Self { target, host: target.to_string(), timeout, idle: Mutex::default() }
    }

    /// Sends one request and tells what became of it.
    pub(super) async fn send(self: &Arc<Self>, planned: &Planned) -> Outcome {
        let mut head = None;
        let exchange = tokio::time::timeout(self.timeout, self.exchange(planned, &mut head));
        match exchange.await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::TimedOut(head),
        }
    }

    async fn exchange(self: &Arc<Self>, planned: &Planned, head: &mut Option<u16>) -> Outcome {
        let mut request = self.request(planned);
        loop {
            let mut sender = match self.take_idle() {
                Some(sender) => sender,
                None => match self.connect().await {
                    Ok(sender) => sender,
                    Err(_) => return Outcome::Unsent,
                },
            };
            let mut response = match sender.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => match error.take_message() {
                    // Given back, so not a byte was written: the connection had been closed while idle.
                    Some(unsent) => {
                        request = unsent;
                        continue;
                    }
                    None => return Outcome::Unanswered,
                },
            };
            let status = response.status().as_u16();
            *head = Some(status);
            if read_whole(response.body_mut()).await.is_err() {
                return Outcome::CutBody(status);
            }
            // Apart, because what happens after the last byte is not the client's latency.
            tokio::spawn(Arc::clone(self).keep(sender));
            return Outcome::Answered(status);
        }
    }

    fn request(&self, planned: &Planned) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(planned.method())
            .uri(&planned.path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, "demo-load");
        if planned.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = planned.body.clone().map_or_else(Full::default, |body| Full::new(Bytes::from(body)));
        request.body(body).expect("planned paths and these headers are valid")
    }

    async fn connect(&self) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors reach the request that it carries; between requests nobody misses it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The most recently used connection, so that those that the rate does not need grow old and go.
    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(sender, since)| sender.is_ready() && since.elapsed() < IDLE_MAX);
        idle.pop().map(|(sender, _)| sender)
    }

    async fn keep(self: Arc<Self>, mut sender: Sender) {
        // Ready as soon as the connection's task has seen the end of the answer; an error means closed.
        if poll_fn(|context| sender.poll_ready(context)).await.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((sender, Instant::now()));
        }
    }
}

async fn read_whole(body: &mut Incoming) -> hyper::Result<()> {
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}
