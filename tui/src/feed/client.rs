//! One connection to an agent: HTTP/1.1 over a Unix or TCP socket.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{FeedError, Lines};
use crate::address::Address;
use crate::reading::{Reading, ReadingError};

/// What a socket must do; both kinds do.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connecting and the head of the answer may take so long each.
const PATIENCE: Duration = Duration::from_secs(5);
/// A feed that is silent for so long is given up. An agent writes every second.
const SILENCE: Duration = Duration::from_secs(20);

/// An answer whose connection ends with it.
struct Answer {
    response: Response<Incoming>,
    /// The task that drives the connection.
    driver: AbortHandle,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An open feed.
pub struct Feed {
    address: String,
    answer: Answer,
    lines: Lines,
}

impl Feed {
    /// Opens the feed of an agent.
    pub async fn open(address: &Address) -> Result<Self, FeedError> {
        let answer = get(address, "/v1/feed").await?;
        Ok(Self { address: address.to_string(), answer, lines: Lines::default() })
    }

    /// The next reading. The feed never ends well: an agent that stops is an error as well.
    pub async fn next(&mut self) -> Result<Reading, FeedError> {
        loop {
            match self.lines.next_line() {
                Ok(Some(line)) => return parse(&self.address, line).await,
                Ok(None) => self.more().await?,
                Err(error) => return Err(reading_error(&self.address, error.into())),
            }
        }
    }

    /// Waits for more bytes.
    async fn more(&mut self) -> Result<(), FeedError> {
        let address = || self.address.clone();
        let frame = timeout(SILENCE, self.answer.response.body_mut().frame())
            .await
            .map_err(|_| FeedError::Timeout { address: address(), after: SILENCE })?;
        match frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.lines.push(bytes);
                }
                Ok(())
            }
            Some(Err(source)) => Err(FeedError::Broken { address: address(), source }),
            None if self.lines.within_line() => Err(FeedError::Cut { address: address() }),
            None => Err(FeedError::Ended { address: address() }),
        }
    }
}

/// One snapshot of an agent, as the line that it wrote.
pub async fn snapshot(address: &Address) -> Result<Bytes, FeedError> {
    let mut answer = get(address, "/v1/snapshot").await?;
    let mut line = Vec::new();
    while let Some(frame) = answer.response.body_mut().frame().await {
        let frame = frame.map_err(|source| FeedError::Broken { address: address.to_string(), source })?;
        line.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        if line.len() > hosp_feed::MAX_LINE {
            let error = hosp_feed::DecodeError::TooLong(line.len());
            return Err(reading_error(&address.to_string(), error.into()));
        }
    }
    Ok(line.into())
}

fn reading_error(address: &str, source: ReadingError) -> FeedError {
    FeedError::Reading { address: address.to_owned(), source }
}

/// Parsing takes milliseconds when an agent knows thousands of series, and the keyboard must not wait for it.
async fn parse(address: &str, line: Bytes) -> Result<Reading, FeedError> {
    let parsed = tokio::task::spawn_blocking(move || Reading::parse(&line)).await;
    parsed
        .expect("parsing is never cancelled, and a panic ends the program")
        .map_err(|e| reading_error(address, e))
}

async fn connect(address: &Address) -> Result<Box<dyn Stream>, FeedError> {
    let connected = async {
        Ok(match address {
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>,
            Address::Tcp(endpoint) => Box::new(TcpStream::connect(endpoint).await?),
        })
    };
    timeout(PATIENCE, connected)
        .await
        .map_err(|_| FeedError::Timeout { address: address.to_string(), after: PATIENCE })?
        .map_err(|source| FeedError::Connect { address: address.to_string(), source })
}

/// Asks an agent for `path`; the answer is one of status 200.
async fn get(address: &Address, path: &'static str) -> Result<Answer, FeedError> {
    let not_http = |source| FeedError::NotHttp { address: address.to_string(), source };
    let io = TokioIo::new(connect(address).await?);
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(io).await.map_err(not_http)?;
    // The connection's own error reaches the reader through the body.
    let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    let host = match address {
        Address::Unix(_) => "localhost",
        Address::Tcp(endpoint) => endpoint,
    };
    let request = Request::get(path)
        .header(HOST, host)
        .body(Empty::new())
        .expect("the path is a constant, and an address holds no control characters");
    let response = timeout(PATIENCE, sender.send_request(request)).await;
    let response = match response {
        Ok(Ok(response)) => response,
        Ok(Err(source)) => {
            driver.abort();
            return Err(not_http(source));
        }
        Err(_) => {
            driver.abort();
            return Err(FeedError::Timeout { address: address.to_string(), after: PATIENCE });
        }
    };
    let answer = Answer { response, driver };
    match answer.response.status() {
        StatusCode::OK => Ok(answer),
        status => Err(FeedError::Status { address: address.to_string(), status: status.as_u16(), path }),
    }
}
