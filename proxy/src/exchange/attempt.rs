//! One try: a connection, the request on it, and the answer's head, within the time for it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::HOST;
use http::response::Parts as ResponseHead;
use http::{Request, Version};
use tokio::time::Instant;

use super::Exchange;
use crate::body::replay::{Replay, RequestBody};
use crate::body::upstream::{Place, UpstreamBody};
use crate::endpoint::{AttemptOutcome, Endpoint};
use crate::health::judge::judge;
use crate::pool::Lease;
use crate::pool::Member;
use crate::retry::{Delivery, Reason, Repeat};
use crate::shared::Shared;

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

/// Counts and judges a try by its outcome; one that is dropped before it has any was cancelled.
struct Count<'a> {
    shared: &'a Shared,
    member: Rc<Member>,
    started: Instant,
    outcome: AttemptOutcome,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        judge(&self.shared.origins, &self.member, self.outcome, self.started);
    }
}

impl Exchange<'_> {
    /// Makes one try at this place, on a new connection if it has to be `fresh`.
    pub(super) async fn attempt(&self, place: Place, fresh: bool) -> Result<Answer, TryError> {
        let mut count = Count {
            shared: &self.connection.worker.shared,
            member: place.member().clone(),
            started: Instant::now(),
            outcome: AttemptOutcome::Cancelled,
        };
        let result = match self.in_time(self.send(place.member(), fresh)).await {
            Some(result) => result,
            None => {
                tracing::debug!(endpoint = %place.endpoint(), "no answer in time");
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
        member: &Member,
        fresh: bool,
    ) -> Result<(http::Response<hyper::body::Incoming>, Lease), TryError> {
        let worker = &self.connection.worker;
        let certain = self.outgoing.repeat == Repeat::Harmful;
        let pooled = if fresh { None } else { worker.pool.checkout(member, certain) };
        let mut lease = match pooled {
            Some(lease) => lease,
            None => worker.pool.connect(&member.endpoint).await.map_err(|error| {
                tracing::debug!(%error, "a try failed");
                let delivery = Delivery::Nothing;
                TryError::Origin(Failed { reason: Reason::Connect, delivery, reused: false })
            })?,
        };
        let before = lease.link.written();
        match lease.sender.try_send_request(self.request(&member.endpoint)).await {
            Ok(response) => Ok((response, lease)),
            Err(error) => {
                let error = error.into_error();
                tracing::debug!(%error, endpoint = %member.endpoint, "a try failed");
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

    fn request(&self, endpoint: &Endpoint) -> Request<RequestBody> {
        let body = self.body.map_or(RequestBody::None, |body| RequestBody::Some(body.reader()));
        let mut request = Request::new(body);
        *request.method_mut() = self.outgoing.method.clone();
        *request.uri_mut() = self.outgoing.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.outgoing.fields.to_map();
        if !self.outgoing.own_host {
            request.headers_mut().insert(HOST, endpoint.upstream.origin.authority().clone());
        }
        request
    }
}
