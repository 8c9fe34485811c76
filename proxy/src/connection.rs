//! One client connection: hyper's server on it, with our limits.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::Client;
use crate::config::Config;
use crate::handler::handle;
use crate::link::Link;
use crate::timer::{ConnectionTimer, LazySleep};
use crate::worker::Worker;

/// What all requests of one client connection share.
#[derive(Debug)]
pub struct Connection {
    /// The thread that it lives on.
    pub worker: Rc<Worker>,
    /// Who is at the other end.
    pub client: Rc<Client>,
    /// The connection itself.
    pub link: Link,
    /// The timer for the deadlines of its requests, one after the other.
    pub patience: RefCell<LazySleep>,
}

/// hyper's server, set up once per worker.
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
        .header_read_timeout(config.limits.client_idle);
    server
}

/// Serves one connection to its end, or, once the proxy is going down, to the end of what is under way.
pub async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: IpAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "client is gone already");
        return;
    }
    let shared = worker.shared.clone();
    let limits = &shared.config.limits;
    let link = Link::incoming(stream);
    let connection = Rc::new(Connection {
        client: Rc::new(Client::at(peer)),
        link: link.clone(),
        patience: RefCell::new(LazySleep::new(Instant::now() + shared.config.deadline)),
        worker: worker.clone(),
    });
    // hyper keeps silent about heads that never end unless it is given a timer.
    let mut server = worker.server.clone();
    server.timer(ConnectionTimer::new(limits.client_idle));
    let service = service_fn(move |request| handle(connection.clone(), request));
    let mut serving = pin!(server.serve_connection(TokioIo::new(link.clone()), service));
    let mut draining = shared.draining.clone();
    let mut drained = pin!(async move {
        // An error means that nobody can ask for it any more.
        if draining.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    let mut told = false;
    shared.metrics.connections.inc();
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = serving.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if !told && drained.as_mut().poll(cx).is_ready() {
            told = true;
            serving.as_mut().graceful_shutdown();
            return serving.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await;
    shared.metrics.connections.dec();
    if let Err(error) = result {
        // The one error of ours is a body that was cut: the client must not take it for whole.
        if error.is_user() {
            link.reset_on_close();
        }
        tracing::debug!(%error, client = %peer, "client connection ended");
    }
}
