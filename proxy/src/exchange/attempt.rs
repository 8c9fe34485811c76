//! One try: a connection, the request on it, and the answer's head, within the time for it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use http::header::HOST;
use http::response::Parts as ResponseHead;
use http::{Request, Version};
use tokio::time::Instant;

use super::Exchange;
use crate::balance::{AttemptOutcome, Endpoint};
use crate::body::replay::{Replay, RequestBody};
use crate::body::upstream::{Place, UpstreamBody};
use crate::pool::Lease;
use crate::retry::{Delivery, Reason, Repeat};

/// An origin's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: ResponseHead,
    pub(super) body: UpstreamBody,
}

/// Why a try brought no answer.
#[derive(Debug)]
pub(super) enum TryError {
    /// The request's own body broke off: no origin is to blame.
    Request,
    /// The origin, or the way there.
    Origin(Failed),
}

/// What went wrong on the way to an origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    pub(super) delivery: Delivery,
    pub(super) reused: bool,
}

/// Counts a try under its outcome; one that is dropped before it has any was cancelled.
struct Count<'a> {
    endpoint: &'a Endpoint,
    outcome: AttemptOutcome,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.endpoint.count(self.outcome);
    }
}

impl Exchange<'_> {
    /// Makes one try at the endpoint of this index, on a new connection if it has to be `fresh`.
    pub(super) async fn attempt(&self, endpoint: usize, fresh: bool) -> Result<Answer, TryError> {
        let shared = &self.connection.worker.shared;
        let mut count = Count { endpoint: &shared.endpoints[endpoint], outcome: AttemptOutcome::Cancelled };
        let place = Place::take(shared, endpoint);
        let result = match self.in_time(self.send(endpoint, fresh)).await {
            Some(result) => result,
            None => {
                tracing::debug!(origin = shared.endpoints[endpoint].name(), "no answer in time");
                let delivery = Delivery::Possible;
                Err(TryError::Origin(Failed { reason: Reason::Timeout, delivery, reused: false }))
            }
        };
        match result {
            Ok((response, lease)) => {
                let (head, incoming) = response.into_parts();
                count.outcome = AttemptOutcome::Status(head.status.as_u16());
                let pool = self.connection.worker.pool.clone();
                Ok(Answer { head, body: UpstreamBody::new(incoming, lease, pool, place) })
            }
            Err(error) => {
                if let TryError::Origin(failed) = &error {
                    count.outcome = AttemptOutcome::Failed(failed.reason);
                }
                Err(error)
            }
        }
    }

    /// The result of `work`, unless the time for one try, or for all, is over first.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let own_limit = self.policy.try_timeout.map(|t| Instant::now() + t);
        poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            loop {
                let deadline = self.deadline();
                let limit = own_limit.map_or(deadline, |own| own.min(deadline));
                if self.connection.patience.borrow_mut().poll_until(cx, limit).is_pending() {
                    return Poll::Pending;
                }
                // The deadline may have moved on while the client was still sending.
                if own_limit.is_some_and(|own| own <= limit) || self.deadline() <= limit {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }

    /// Sends the request on a pooled or new connection and waits for the answer's head.
    async fn send(
        &self,
        endpoint: usize,
        fresh: bool,
    ) -> Result<(http::Response<hyper::body::Incoming>, Lease), TryError> {
        let worker = &self.connection.worker;
        let certain = self.outgoing.repeat == Repeat::Harmful;
        let pooled = if fresh { None } else { worker.pool.checkout(endpoint, certain) };
        let mut lease = match pooled {
            Some(lease) => lease,
            None => {
                worker.pool.connect(&worker.shared.endpoints[endpoint].origin).await.map_err(|error| {
                    tracing::debug!(%error, "a try failed");
                    let delivery = Delivery::Nothing;
                    TryError::Origin(Failed { reason: Reason::Connect, delivery, reused: false })
                })?
            }
        };
        let before = lease.link.written();
        match lease.sender.try_send_request(self.request(endpoint)).await {
            Ok(response) => Ok((response, lease)),
            Err(error) => {
                let error = error.into_error();
                tracing::debug!(%error, origin = worker.shared.endpoints[endpoint].name(), "a try failed");
                if self.body.is_some_and(Replay::is_broken) {
                    return Err(TryError::Request);
                }
                let delivery =
                    if lease.link.written() == before { Delivery::Nothing } else { Delivery::Possible };
                let reason = match delivery {
                    Delivery::Nothing if lease.reused => Reason::IdleRace,
                    _ if error.is_parse() => Reason::Garbled,
                    _ => Reason::Reset,
                };
                Err(TryError::Origin(Failed { reason, delivery, reused: lease.reused }))
            }
        }
    }

    fn request(&self, endpoint: usize) -> Request<RequestBody> {
        let body = self.body.map_or(RequestBody::None, |body| RequestBody::Some(body.reader()));
        let mut request = Request::new(body);
        *request.method_mut() = self.outgoing.method.clone();
        *request.uri_mut() = self.outgoing.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.outgoing.fields.to_map();
        if !self.outgoing.own_host {
            let origin = &self.connection.worker.shared.endpoints[endpoint].origin;
            request.headers_mut().insert(HOST, origin.authority().clone());
        }
        request
    }
}
