//! One connection of the origin: each attempt meets its fate, on the wire as it would in truth.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer, Break};
use super::content;
use super::fate::{Attempt, End, Fate};
use super::ledger::Due;
use super::origin::Origin;
use super::scenario::{Ask, Sky};

/// What `Retry-After` asks for.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long an origin that fails as a whole takes to say so, in seconds of the real system.
const FAILS_WITHIN: f64 = 0.05;
/// No request has this id: active checks have it, so that their fates are nobody else's.
const HEALTH_CHECKS: u64 = u64::MAX;
/// Neither a status line nor anything that one could begin with.
const GARBAGE: &[u8] = b"\x00\x17ERR 0x1F: heap exhausted at frame 00\r\n\x02\x02\x02\r\n";

/// Serves one connection until its end, or until `closing` and the end of what it has begun.
pub(super) async fn serve(
    stream: TcpStream,
    origin: Arc<Origin>,
    endpoint: usize,
    closing: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    // Boxed, because only a connection whose futures are Unpin gives its socket back.
    let service = service_fn(move |request| -> Pin<Box<dyn Future<Output = _> + Send>> {
        Box::pin(respond(Arc::clone(&origin), endpoint, request))
    });
    // No limit on idle time: a connection that closes as a request arrives would be a fault that no one drew.
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let mut closing = pin!(closing.cancelled_owned());
    let mut told = false;
    let result = poll_fn(|context| {
        if !told && closing.as_mut().poll(context).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(context)
    })
    .await;
    let mut stream = connection.into_parts().io.into_inner();
    let broken = result.err().and_then(|error| error.source()?.downcast_ref::<Break>().copied());
    match broken {
        // Closing a socket that may not linger sends RST and drops what is unsent.
        Some(Break::Reset) => drop(stream.set_zero_linger()),
        // A reader that goes away early is its own affair.
        Some(Break::Garbage) => drop(stream.write_all(GARBAGE).await),
        Some(Break::End) | None => {}
    }
}

/// What the path and the headers say.
struct Call {
    id: u64,
    ask: Ask,
}

impl Call {
    /// `/patients/{id}/notes`, with the id again in a header: where the two differ, requests were mixed up.
    fn find(method: &Method, path: &str, headers: &HeaderMap) -> Option<Self> {
        let id = path.strip_prefix("/patients/")?.strip_suffix("/notes")?;
        let again = headers.get(super::ID_HEADER)?.to_str().ok()?;
        let ask = match (method, headers.contains_key(super::KEY_HEADER)) {
            (&Method::GET, _) => Ask::Read,
            (&Method::POST, false) => Ask::Write,
            (&Method::POST, true) => Ask::KeyedWrite,
            _ => return None,
        };
        (id == again).then_some(Self { id: id.parse().ok()?, ask })
    }
}

async fn respond(
    origin: Arc<Origin>,
    endpoint: usize,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Break> {
    let (head, body) = request.into_parts();
    if head.uri.path() == super::HEALTH {
        return Ok(health(&origin, endpoint));
    }
    let call = Call::find(&head.method, head.uri.path(), &head.headers);
    let Some(call) = call.filter(|call| origin.ledger().knows(call.id)) else {
        origin.ledger().garbled();
        return Ok(answer::status(400));
    };
    let due = origin.ledger().arrive(call.id, call.ask, origin.now());
    // The client went away while it sent: nothing was asked for.
    let body = body.collect().await.map_err(|_| Break::End)?.to_bytes();
    if call.ask.writes() && body != content::note(call.id) {
        origin.ledger().garbled();
        return Ok(answer::status(400));
    }
    if origin.sky() == Sky::Failing {
        tokio::time::sleep(origin.scenario.scaled(FAILS_WITHIN)).await;
        return Ok(answer::status(503));
    }
    let number = match due {
        Due::Fate(number) => number,
        Due::Early => return Ok(answer::busy(503)),
    };
    let attempt = Attempt { id: call.id, number, ask: call.ask, endpoint };
    meet(&origin, &call, Fate::draw(origin.scenario, origin.seed, attempt), &head.headers).await
}

async fn meet(
    origin: &Origin,
    call: &Call,
    fate: Fate,
    headers: &HeaderMap,
) -> Result<Response<Answer>, Break> {
    // First of all, because a server goes on with what it has begun when its client goes away.
    if call.ask.writes() && fate.applied {
        origin.ledger().apply(call.id, call.ask);
    }
    tokio::time::sleep(fate.delay).await;
    let record = || content::record(call.id, origin.scenario.body);
    Ok(match fate.end {
        End::Failed(status) => answer::status(status),
        End::Busy(status) => {
            origin.ledger().put_off(call.id, origin.now() + RETRY_AFTER);
            answer::busy(status)
        }
        End::Reset => return Err(Break::Reset),
        End::Garbage => return Err(Break::Garbage),
        End::Hung => return std::future::pending().await,
        _ if call.ask.writes() => answer::receipt(content::receipt(call.id)),
        end => answer::record(call.id, record(), headers, end),
    })
}

/// What an active check gets: the endpoint fails it as often as it fails requests.
fn health(origin: &Origin, endpoint: usize) -> Response<Answer> {
    let check = Attempt { id: HEALTH_CHECKS, number: origin.next_check(), ask: Ask::Read, endpoint };
    let well = Fate::draw(origin.scenario, origin.seed, check).end == End::Served;
    answer::status(if well && origin.sky() != Sky::Failing { 200 } else { 503 })
}
