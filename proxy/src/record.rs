//! The account of one request, from its head to the end of its answer: counted and logged exactly once.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::access::{Line, TryLine};
use crate::cache::CacheResult;
use crate::client::Client;
use crate::connection::Connection;
use crate::metrics::requests::MethodLabel;
use crate::worker::Worker;

/// The account of one request. Dropped, it is closed: whoever holds it last decides when that is.
pub struct Record {
    connection: Rc<Connection>,
    method: MethodLabel,
    start: Instant,
    status: Option<StatusCode>,
    complete: bool,
    bytes: u64,
    attempts: u32,
    cache: Option<CacheResult>,
    /// What only the access log wants; absent when there is none.
    details: Option<Box<Details>>,
}

struct Details {
    at: SystemTime,
    client: Rc<Client>,
    method: Method,
    host: String,
    path: String,
    request_id: HeaderValue,
    tries: Vec<TryLine>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("status", &self.status)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Opens the account of a request whose head is `head`.
    pub fn open(
        connection: &Rc<Connection>,
        head: &http::request::Parts,
        request_id: &HeaderValue,
        start: Instant,
    ) -> Self {
        let shared = &connection.worker.shared;
        connection.idle.set(None);
        shared.metrics.in_flight.inc();
        let details = shared.access.as_ref().map(|_| {
            let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            Box::new(Details {
                at: SystemTime::now(),
                client: connection.client.clone(),
                method: head.method.clone(),
                host: head.headers.get(http::header::HOST).map(text).unwrap_or_default(),
                path: head.uri.path().to_owned(),
                request_id: request_id.clone(),
                tries: Vec::new(),
            })
        });
        Self {
            connection: connection.clone(),
            method: MethodLabel::of(&head.method),
            start,
            status: None,
            complete: false,
            bytes: 0,
            attempts: 0,
            cache: None,
            details,
        }
    }

    /// Takes note of what the cache had to say, and counts it.
    pub fn cache(&mut self, result: CacheResult) {
        self.cache = Some(result);
        self.connection.worker.shared.metrics.cache[result.index()].inc();
    }

    /// Takes note of a try.
    pub fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// Takes note of how a try ended, if that is logged.
    pub fn tried(&mut self, line: impl FnOnce() -> TryLine) {
        if let Some(details) = &mut self.details {
            details.tries.push(line());
        }
    }

    /// The value of `Server-Timing`: what the request has taken so far, and in how many tries.
    pub fn timing(&self) -> HeaderValue {
        let took = self.start.elapsed().as_secs_f64() * 1000.0;
        HeaderValue::try_from(format!("origin;dur={took:.1};desc=\"tries={}\"", self.attempts))
            .expect("numbers and these names are visible ASCII")
    }

    /// Takes note of the status answered.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Takes note of bytes of the body handed on.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer has been handed on whole.
    pub fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Worker { shared, counters, .. } = &*self.connection.worker;
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.start);
        self.connection.idle.set(Some(now));
        counters.count(&shared.metrics, self.method, self.status, duration.as_secs_f64());
        shared.metrics.in_flight.dec();
        if let (Some(log), Some(details)) = (&shared.access, self.details.take()) {
            log.write(Line {
                unix_ms: details.at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64),
                request_id: String::from_utf8_lossy(details.request_id.as_bytes()).into_owned(),
                client: details.client.address(),
                method: details.method.to_string(),
                host: details.host,
                path: details.path,
                status: self.status.map_or(0, |s| s.as_u16()),
                complete: self.complete,
                bytes: self.bytes,
                duration_us: duration.as_micros() as u64,
                attempts: self.attempts,
                tries: details.tries,
                cache: self.cache.map_or("none", CacheResult::name),
            });
        }
    }
}
