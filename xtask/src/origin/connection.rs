//! One connection of the origin: requests meet their fate, and a reset is a real one.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpStream, UnixStream};

use super::Shared;
use super::faults::Verdict;
use super::hospital::{Body, Note, Route, refusal};
use super::ledger::{End, Ledger};

/// Longest note accepted, in bytes.
const NOTE_MAX: usize = 64 * 1024;

/// The request's connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("the connection is to be reset")]
struct Reset;

/// Serves one connection until its end.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    // Boxed, because only a connection whose futures are Unpin gives its socket back.
    let service = service_fn(move |request| -> Pin<Box<dyn Future<Output = _> + Send>> {
        Box::pin(answer(Arc::clone(&shared), request))
    });
    // No limit on idle time: a connection that closes as a request arrives would be a fault that no one drew.
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let result = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let stream = connection.into_parts().io.into_inner();
    if result.is_err_and(|error| error.is_user()) {
        // Closing a socket that may not linger sends RST and drops what is unsent.
        let _ = stream.set_zero_linger();
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
    let entry = shared.ledger.begin(request.method().as_str());
    let fate = shared.faults.fate(shared.sequence.fetch_add(1, Ordering::Relaxed));
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, NOTE_MAX).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        // The client went away while it sent: the entry is dropped, and counts as abandoned.
        Err(_) => return Err(Reset),
    };
    tokio::time::sleep(fate.delay).await;

    let respond = || match (Route::find(&head.method, head.uri.path()), body) {
        (_, None) => refusal(StatusCode::PAYLOAD_TOO_LARGE),
        (Route::WriteNote(patient), Some(body)) => match serde_json::from_slice::<Note>(&body) {
            Ok(note) => {
                shared.ledger.note(&note.id);
                shared.hospital.write(patient, note)
            }
            Err(_) => refusal(StatusCode::BAD_REQUEST),
        },
        (route, Some(_)) => shared.hospital.read(&route),
    };
    let response = match fate.verdict {
        Verdict::Served => respond(),
        Verdict::Failed(status) => {
            refusal(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Verdict::ResetBefore => {
            entry.end(End::Reset);
            return Err(Reset);
        }
        Verdict::ResetAfter => {
            respond();
            entry.end(End::Reset);
            return Err(Reset);
        }
    };
    entry.end(End::Answered(response.status().as_u16()));
    Ok(response)
}

/// Serves one connection of the admin socket.
pub(super) async fn serve_admin(stream: UnixStream, ledger: Arc<Ledger>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = match request.uri().path() {
            "/__counts" => {
                let body = serde_json::to_vec(&ledger.report()).expect("a report has string keys only");
                Response::new(Full::new(Bytes::from(body)))
            }
            _ => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    // A reader that goes away early is its own affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
