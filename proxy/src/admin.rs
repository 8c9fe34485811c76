//! The admin interface: `/metrics`, `/healthz`, `/readyz` and `/v1/facts`, on a thread apart from all workers.

pub mod socket;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::facts::facts;
use crate::shared::Shared;
use socket::AdminListener;

/// Longest wait for the head of a request to the admin interface.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the task is dropped, or `left` to a successor. Must run within a local task set.
pub async fn serve(
    listener: AdminListener,
    shared: watch::Receiver<Arc<Shared>>,
    mut left: watch::Receiver<bool>,
) {
    loop {
        let accept = async {
            match &listener {
                AdminListener::Tcp(tcp) => {
                    tcp.accept().await.map(|(stream, _)| spawn(stream, shared.clone()))
                }
                AdminListener::Unix(unix) => unix.accept().await.map(|stream| spawn(stream, shared.clone())),
            }
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            Ok(_) = left.wait_for(|left| *left) => return listener.leave(),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "the admin interface cannot accept a connection; trying again shortly");
            sleep(ACCEPT_PAUSE).await;
        }
    }
}

fn spawn(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, shared: watch::Receiver<Arc<Shared>>) {
    tokio::task::spawn_local(async move {
        let service = service_fn(move |request| {
            std::future::ready(Ok::<_, Infallible>(respond(&request, &shared.borrow())))
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "admin connection ended");
        }
    });
}

fn respond(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    answer(request.method(), request.uri().path(), shared)
}

fn answer(method: &Method, path: &str, shared: &Shared) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !matches!(path, "/metrics" | "/healthz" | "/readyz" | "/v1/facts") {
        return content(
            StatusCode::NOT_FOUND,
            TEXT,
            "no such page: /metrics, /healthz, /readyz, /v1/facts\n",
        );
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = content(StatusCode::METHOD_NOT_ALLOWED, TEXT, "read only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => {
            if let Some(cache) = &shared.cache {
                shared.metrics.cache_bytes.set(cache.bytes() as i64);
                shared.metrics.cache_entries.set(cache.len() as i64);
            }
            content(
                StatusCode::OK,
                prometheus::TEXT_FORMAT,
                shared.metrics.text(Some(&shared.origins.endpoints)),
            )
        }
        "/v1/facts" => {
            let facts = serde_json::to_vec(&facts(shared)).expect("facts have string keys only");
            content(StatusCode::OK, "application/json", facts)
        }
        "/readyz" if shared.is_draining() => content(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
        _ => content(StatusCode::OK, TEXT, "ok\n"),
    }
}

fn content(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
