//! Reads what hosp-proxy says of itself from its admin socket, once a second, when there is one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hosp_feed::ProxyFacts;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::endpoint::Endpoint;

/// How often the proxy is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why nothing was learnt from the proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Nobody listens, or the connection failed.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The exchange broke off, or was no HTTP.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// It took too long.
    #[error("no answer within {PATIENCE:?}")]
    TimedOut,
    /// It answered something else.
    #[error("status {0} for /v1/facts: is this hosp-proxy's admin address?")]
    Status(StatusCode),
    /// The answer was broken off, or too long.
    #[error("cannot read the answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what hosp-proxy sends.
    #[error("the answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// Keeps `facts` up to date until nobody looks at them any more. They turn `None` as soon as the proxy cannot be
/// reached: old figures must not pass for new ones.
pub async fn follow(proxy: Endpoint, facts: watch::Sender<Option<Arc<ProxyFacts>>>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = period.tick() => {}
            () = facts.closed() => return,
        }
        let new = fetch(&proxy).await;
        match (&new, facts.borrow().is_some()) {
            (Ok(_), false) => tracing::info!(%proxy, "hosp-proxy found"),
            (Err(error), true) => tracing::warn!(%proxy, %error, "hosp-proxy lost"),
            (Ok(_), true) | (Err(_), false) => {}
        }
        facts.send_replace(new.ok().map(Arc::new));
    }
}

/// Asks the proxy once.
pub async fn fetch(proxy: &Endpoint) -> Result<ProxyFacts, ProxyError> {
    let exchange = async {
        match proxy {
            Endpoint::Unix(path) => exchange(UnixStream::connect(path).await?).await,
            Endpoint::Tcp(addr) => exchange(TcpStream::connect(addr).await?).await,
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| ProxyError::TimedOut)?
}

/// The facts that the body of an answer holds.
pub fn parse(body: &[u8]) -> Result<ProxyFacts, ProxyError> {
    Ok(serde_json::from_slice(body)?)
}

async fn exchange<S>(stream: S) -> Result<ProxyFacts, ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let ask = async {
        let request = Request::get("/v1/facts")
            .header(HOST, "hosp-proxy")
            .body(Empty::<Bytes>::new())
            .expect("the request is well-formed");
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(ProxyError::Status(response.status()));
        }
        let body =
            Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(ProxyError::Body)?;
        parse(&body.to_bytes())
    };
    // Driven here and not in a task of its own, so that a time-out ends both.
    tokio::pin!(ask, connection);
    tokio::select! {
        facts = &mut ask => facts,
        ended = &mut connection => {
            ended?;
            ask.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    /// Serves `answer` once on a socket of its own.
    async fn against(answer: &'static str) -> Result<ProxyFacts, ProxyError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let facts = fetch(&Endpoint::Unix(path)).await;
        assert!(server.await.unwrap().starts_with("GET /v1/facts HTTP/1.1\r\n"));
        facts
    }

    #[tokio::test]
    async fn facts_are_read_from_the_admin_socket() {
        let facts =
            against("HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"requests\":7,\"attempts\":9}\n").await;
        assert_eq!(facts.unwrap(), ProxyFacts { requests: 7, attempts: 9, ..ProxyFacts::default() });
    }

    #[tokio::test]
    async fn whatever_else_answers_is_an_error_that_says_what_it_was() {
        let other = against("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap_err();
        assert!(matches!(other, ProxyError::Status(StatusCode::NOT_FOUND)), "{other}");
        let cut = against("HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"requ").await.unwrap_err();
        assert!(matches!(cut, ProxyError::Body(_)), "{cut}");
        let garbage = against("220 mail ready\r\n\r\n").await.unwrap_err();
        assert!(matches!(garbage, ProxyError::Http(_)), "{garbage}");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_at_once() {
        let absent = fetch(&Endpoint::Unix("/nonexistent/proxy.sock".into())).await.unwrap_err();
        assert!(matches!(absent, ProxyError::Connect(_)), "{absent}");
    }
}
