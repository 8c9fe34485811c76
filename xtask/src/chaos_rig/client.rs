//! The clients of one contender: requests leave when the schedule says, and each answer is checked to its
//! last byte.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::content;
use super::outcome::{Outcome, Sample};
use super::scenario::{Ask, GRACE, Scenario};
use super::schedule::Planned;
use crate::connections::{Connections, NoAnswer};

/// The clients of one contender.
#[derive(Debug)]
pub(super) struct Clients {
    scenario: &'static Scenario,
    connections: Arc<Connections>,
    host: String,
}

impl Clients {
    /// Clients that talk to `target`.
    pub(super) fn new(scenario: &'static Scenario, target: SocketAddr) -> Self {
        Self { scenario, connections: Arc::new(Connections::new(target)), host: target.to_string() }
    }

    /// Sends the whole schedule, whose first moment is `start`, and tells what became of each request.
    pub(super) async fn run(self, schedule: Arc<Vec<Planned>>, start: Instant) -> Vec<Sample> {
        let clients = Arc::new(self);
        let mut requests = JoinSet::new();
        for &planned in schedule.iter() {
            let scheduled = start + planned.at;
            tokio::time::sleep_until(scheduled).await;
            let clients = Arc::clone(&clients);
            requests.spawn(async move { clients.send(planned, scheduled).await });
        }
        requests.join_all().await
    }

    async fn send(&self, planned: Planned, scheduled: Instant) -> Sample {
        let late = scheduled.elapsed();
        let patience = self.scenario.scaled(self.scenario.patience);
        let outcome = tokio::time::timeout_at(scheduled + patience + GRACE, self.exchange(planned)).await;
        let latency = scheduled.elapsed();
        let outcome = outcome.unwrap_or(Outcome::TimedOut).within(patience, latency);
        Sample { planned, outcome, latency, late }
    }

    async fn exchange(&self, planned: Planned) -> Outcome {
        let (response, lease) = match self.connections.send(self.request(planned)).await {
            Ok(answer) => answer,
            Err(NoAnswer::Unsent(_)) => return Outcome::Unsent,
            Err(NoAnswer::Unanswered(error)) if error.is_parse() => return Outcome::Garbled,
            Err(NoAnswer::Unanswered(_)) => return Outcome::Unanswered,
        };
        let status = response.status().as_u16();
        let Ok(body) = response.into_body().collect().await else { return Outcome::CutBody };
        self.connections.keep(lease);
        let (due, expect) = match planned.ask.writes() {
            false => (200, content::record(planned.id, self.scenario.body)),
            true => (201, content::receipt(planned.id)),
        };
        match status {
            _ if status != due => Outcome::Status(status),
            _ if body.to_bytes() != expect => Outcome::WrongBody,
            _ => Outcome::Served,
        }
    }

    fn request(&self, planned: Planned) -> Request<Full<bytes::Bytes>> {
        let id = planned.id;
        let writes = planned.ask.writes();
        let mut request = Request::builder()
            .method(if writes { Method::POST } else { Method::GET })
            .uri(format!("/patients/{id}/notes"))
            .header(header::HOST, &self.host)
            .header(super::ID_HEADER, id);
        if planned.ask == Ask::KeyedWrite {
            request = request.header(super::KEY_HEADER, format!("\"note-{id}\""));
        }
        let body = if writes { Full::new(content::note(id)) } else { Full::default() };
        request.body(body).expect("these paths and headers are valid")
    }
}
