//! One client connection: hyper's server on it, with our limits.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::config::Config;
use crate::handler::handle;
use crate::link::Link;
use crate::timer::LazySleep;
use crate::worker::{Current, Worker};

/// How long a connection without a request may still bring one once the proxy is to stop.
///
/// A request that is on its way when its connection is closed is lost, and a busy client always has one on its way. So
/// nothing is closed but after an answer that says so, or after a silence that long.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What all requests of one client connection share, under one configuration.
#[derive(Debug)]
pub struct Connection {
    /// The thread that it lives on, with the configuration that its requests began under.
    pub worker: Rc<Worker>,
    /// Who is at the other end.
    pub client: Rc<Client>,
    /// The connection itself.
    pub link: Link,
    /// The timer for the deadlines of its requests, one after the other, and for the waits between them.
    pub patience: RefCell<LazySleep>,
    /// Since when the next request's head is waited for; `None` while a request is under way.
    pub idle: Cell<Option<Instant>>,
}

impl Connection {
    fn new(worker: Rc<Worker>, client: Rc<Client>, link: Link, idle: Option<Instant>) -> Self {
        let config = &worker.shared.config;
        let first = Instant::now() + config.deadline.min(config.limits.client_idle);
        Self { client, link, patience: RefCell::new(LazySleep::new(first)), idle: Cell::new(idle), worker }
    }

    /// Ready when the client has taken too long over its next request: for the whole head, from the end of the answer
    /// before.
    fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(since) = self.idle.get() else { return Poll::Pending };
        let limit = self.worker.shared.config.limits.client_idle;
        ready!(self.patience.borrow_mut().poll_until(cx, since + limit));
        tracing::debug!(client = %self.client.address(), "no request within {limit:?}");
        Poll::Ready(())
    }
}

/// A client connection through all configurations that come while it lasts. What hyper was told at its beginning (the
/// largest head) stays.
struct Seat {
    current: Rc<Current>,
    connection: RefCell<Rc<Connection>>,
}

impl Seat {
    fn take(current: Rc<Current>, peer: IpAddr, link: Link) -> Self {
        let client = Rc::new(Client::at(peer));
        let connection = Connection::new(current.get(), client, link, Some(Instant::now()));
        Self { current, connection: RefCell::new(Rc::new(connection)) }
    }

    /// The connection for a request that begins now, under the configuration that counts now.
    fn connection(&self) -> Rc<Connection> {
        let mut connection = self.connection.borrow_mut();
        if !self.current.is(&connection.worker) {
            let Connection { client, link, .. } = &**connection;
            *connection = Rc::new(Connection::new(self.current.get(), client.clone(), link.clone(), None));
        }
        connection.clone()
    }
}

/// hyper's server, set up once per worker and configuration.
pub fn server(config: &Config) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        // A client that is gone is noticed while its request is under way, and the request is cancelled.
        .half_close(false)
        .keep_alive(true)
        // With it on, hyper 1.12 never writes its refusals (400, 431) when bytes follow the refused head.
        .pipeline_flush(false)
        .max_buf_size(config.limits.head.max(64 << 10))
        .max_header_size(config.limits.head)
        // Ours costs nothing per request: see `Connection::poll_idle`.
        .header_read_timeout(None::<Duration>);
    server
}

/// Serves one connection to its end, or, once the proxy is going down, to the end of what is under way.
pub async fn serve(current: Rc<Current>, stream: TcpStream, peer: IpAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "client is gone already");
        return;
    }
    let worker = current.get();
    let link = Link::incoming(stream);
    let seat = Rc::new(Seat::take(current, peer, link.clone()));
    let service = {
        let seat = seat.clone();
        service_fn(move |request| handle(seat.connection(), request))
    };
    let mut serving = pin!(worker.server.serve_connection(TokioIo::new(link.clone()), service));
    let metrics = worker.shared.metrics.clone();
    let mut draining = worker.shared.draining.clone();
    let told_to_drain = draining.clone();
    // A short drain must not end as one that had to cut requests off, only because of idle clients.
    let last_call = LAST_CALL.min(worker.shared.config.drain / 2);
    // A connection may outlast many configurations, and must not keep the first of them.
    drop(worker);
    let mut drained = pin!(async move {
        // An error means that nobody can ask for it any more.
        if draining.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
        // Boxed, since most connections never come here, and all have to keep room for what they may wait for.
        Box::pin(sleep(last_call)).await;
    });
    let (mut told, mut waiting) = (false, false);
    metrics.connections.inc();
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = serving.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        // Once it waits, another look at the flag is all that a poll needs.
        let news = !waiting || told_to_drain.has_changed().unwrap_or(true);
        if !told && news && drained.as_mut().poll(cx).is_ready() {
            told = true;
            serving.as_mut().graceful_shutdown();
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
        }
        waiting = true;
        seat.connection.borrow().poll_idle(cx).map(Ok)
    })
    .await;
    metrics.connections.dec();
    if let Err(error) = result {
        // The one error of ours is a body that was cut: the client must not take it for whole.
        if error.is_user() {
            link.reset_on_close();
        }
        tracing::debug!(%error, client = %peer, "client connection ended");
    }
}
