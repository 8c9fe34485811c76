//! The load generator's requests: sent, read to the end, and told what became of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use super::plan::Planned;
use super::report::Outcome;
use crate::connections::{Connections, NoAnswer};

/// Sends requests to one server.
#[derive(Debug)]
pub(super) struct Client {
    connections: Arc<Connections>,
    host: String,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(target: SocketAddr, timeout: Duration) -> Self {
        Self { connections: Arc::new(Connections::new(target)), host: target.to_string(), timeout }
    }

    /// Sends one request and tells what became of it.
    pub(super) async fn send(&self, planned: &Planned) -> Outcome {
        let mut head = None;
        let exchange = tokio::time::timeout(self.timeout, self.exchange(planned, &mut head));
        match exchange.await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::TimedOut(head),
        }
    }

    async fn exchange(&self, planned: &Planned, head: &mut Option<u16>) -> Outcome {
        let (mut response, lease) = match self.connections.send(self.request(planned)).await {
            Ok(answer) => answer,
            Err(NoAnswer::Unsent(_)) => return Outcome::Unsent,
            Err(NoAnswer::Unanswered(_)) => return Outcome::Unanswered,
        };
        let status = response.status().as_u16();
        *head = Some(status);
        if read_whole(response.body_mut()).await.is_err() {
            return Outcome::CutBody(status);
        }
        self.connections.keep(lease);
        Outcome::Answered(status)
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
}

async fn read_whole(body: &mut Incoming) -> hyper::Result<()> {
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}
