//! Asking a running program over HTTP, on TCP or on a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Longest that one question may take; each is answered from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a program answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// On a TCP port.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a question got no usable answer.
#[derive(Debug, thiserror::Error)]
#[error("GET {path} at {endpoint}: {why}")]
pub struct AskError {
    /// Who was asked.
    pub endpoint: Endpoint,
    /// What for.
    pub path: String,
    /// What went wrong.
    pub why: Why,
}

/// What went wrong with a question.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Nobody listens there, or no runtime could be made to ask with.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No whole HTTP answer came.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// Another status than 200.
    #[error("answered with {0}")]
    Status(StatusCode),
    /// No answer within five seconds.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TimedOut,
    /// The answer is not what was expected.
    #[error("the answer makes no sense: {0}")]
    Content(String),
}

impl Endpoint {
    /// The body of `GET path`. Blocks; not to be called from within a runtime.
    pub fn get(&self, path: &str) -> Result<Bytes, AskError> {
        let ask = async {
            let body = tokio::time::timeout(PATIENCE, async {
                Ok::<_, Why>(self.open(path).await?.collect().await?.to_bytes())
            });
            body.await.map_err(|_| Why::TimedOut)?
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime
            .map_err(Why::Io)
            .and_then(|runtime| runtime.block_on(ask))
            .map_err(|why| self.failed(path, why))
    }

    /// The body of `GET path`, as text.
    pub fn get_text(&self, path: &str) -> Result<String, AskError> {
        let body = self.get(path)?.to_vec();
        String::from_utf8(body).map_err(|error| self.failed(path, Why::Content(error.to_string())))
    }

    /// The body of `GET path`, read as JSON.
    pub fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        let body = self.get(path)?;
        serde_json::from_slice(&body).map_err(|error| self.failed(path, Why::Content(error.to_string())))
    }

    /// The body of `GET path` as it arrives, for answers that never end.
    pub async fn open(&self, path: &str) -> Result<Incoming, Why> {
        match self {
            Self::Tcp(address) => ask(TcpStream::connect(address).await?, path).await,
            Self::Unix(socket) => ask(UnixStream::connect(socket).await?, path).await,
        }
    }

    fn failed(&self, path: &str, why: Why) -> AskError {
        AskError { endpoint: self.clone(), path: path.to_owned(), why }
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<Incoming, Why> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends when the body has been read or dropped.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "localhost")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Why::Content(error.to_string()))?;
    let answer = sender.send_request(request).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status => Err(Why::Status(status)),
    }
}
