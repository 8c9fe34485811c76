//! One try: a connection, the request on it, and the answer's head, within the time for it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::HOST;
use http::response::Parts as ResponseHead;
use http::{Request, Version};
use tokio::time::Instant;

use super::{Exchange, NoEntry};
use crate::access::TryLine;
use crate::body::replay::{Replay, RequestBody};
use crate::body::upstream::{Place, UpstreamBody};
use crate::endpoint::{AttemptOutcome, Endpoint};
use crate::health::judge::judge;
use crate::hedge::Before;
use crate::latency::Sample;
use crate::pool::Lease;
use crate::pool::Member;
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
    /// It was not made.
    NoEntry(NoEntry),
    /// It was not made: the beginning of the request's body is gone.
    Spent,
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

/// Takes note of how a try ends; one that is dropped before it has an outcome was cancelled.
struct Account<'a, 'e> {
    exchange: &'a Exchange<'e>,
    member: Rc<Member>,
    before: Before,
    started: Instant,
    outcome: AttemptOutcome,
}

impl Drop for Account<'_, '_> {
    fn drop(&mut self) {
        let exchange = self.exchange;
        let worker = &exchange.connection.worker;
        let now = Instant::now();
        let time = now.saturating_duration_since(self.started);
        judge(&worker.shared.origins, &self.member, self.outcome, self.started);
        let sample = match self.outcome {
            AttemptOutcome::Status(status) if status < 500 && status != 429 => Some(Sample::Answered(time)),
            AttemptOutcome::Cancelled | AttemptOutcome::Failed(Reason::Timeout) => {
                Some(Sample::GivenUp(time))
            }
            // How soon an origin fails says nothing about when it answers.
            _ => None,
        };
        if let Some(sample) = sample {
            worker.latencies.record(exchange.key(&self.member), sample, now);
        }
        exchange.record.borrow_mut().tried(|| TryLine {
            endpoint: self.member.endpoint.to_string(),
            kind: match self.before {
                Before::Nothing => "first",
                Before::Failure => "retry",
                Before::Beside => "hedge",
            },
            outcome: self.outcome.name(),
            start_us: self.started.saturating_duration_since(exchange.start).as_micros() as u64,
            duration_us: time.as_micros() as u64,
        });
    }
}

impl Exchange<'_> {
    /// Makes one try, on a new connection if it has to be `fresh`, and tells with its result what came `before` it.
    pub(super) async fn attempt(&self, before: Before, fresh: bool) -> (Before, Result<Answer, TryError>) {
        let place = match self.enter().await {
            Ok(place) => place,
            Err(why) => return (before, Err(TryError::NoEntry(why))),
        };
        if self.body.is_some_and(|body| !body.can_be_read()) {
            return (before, Err(TryError::Spent));
        }
        let mut tried = self.tried.get();
        tried.insert(place.endpoint().number());
        self.tried.set(tried);
        self.tries.set(self.tries.get() + 1);
        self.record.borrow_mut().attempt();
        self.plan_hedge(place.member(), before);
        (before, self.ask(place, before, fresh).await)
    }

    /// Asks the origin at this place.
    async fn ask(&self, place: Place, before: Before, fresh: bool) -> Result<Answer, TryError> {
        let mut account = Account {
            exchange: self,
            member: place.member().clone(),
            before,
            started: Instant::now(),
            outcome: AttemptOutcome::Cancelled,
        };
        let result = match self.in_time(self.send(place.member(), fresh)).await {
            Some(result) => result,
            None if self.client_stalls() => Err(TryError::Request),
            None => {
                tracing::debug!(endpoint = %place.endpoint(), "no answer in time");
                let delivery = Delivery::Possible;
                Err(TryError::Origin(Failed { reason: Reason::Timeout, delivery, reused: false }))
            }
        };
        match result {
            Ok((response, lease)) => {
                let (head, incoming) = response.into_parts();
                account.outcome = AttemptOutcome::Status(head.status.as_u16());
                let pool = self.connection.worker.pool.clone();
                Ok(Answer { head, body: UpstreamBody::new(incoming, lease, pool, place) })
            }
            Err(error) => {
                if let TryError::Origin(failed) = &error {
                    account.outcome = AttemptOutcome::Failed(failed.reason);
                }
                Err(error)
            }
        }
    }

    /// Whether all time is over because the client sends no more of its body: no origin is to blame.
    fn client_stalls(&self) -> bool {
        self.body.is_some_and(Replay::is_starved) && Instant::now() >= self.deadline()
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
        // Before anything is waited for: from now on, no earlier try takes more of the body.
        let request = self.request(&member.endpoint).ok_or(TryError::Spent)?;
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
        match lease.sender.try_send_request(request).await {
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

    /// What is sent; nothing when the beginning of its body is gone.
    fn request(&self, endpoint: &Endpoint) -> Option<Request<RequestBody>> {
        let body = match self.body {
            Some(body) => RequestBody::Some(body.reader()?),
            None => RequestBody::None,
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.outgoing.method.clone();
        *request.uri_mut() = self.outgoing.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.outgoing.fields.to_map();
        if !self.outgoing.own_host {
            request.headers_mut().insert(HOST, endpoint.upstream.origin.authority().clone());
        }
        Some(request)
    }
}
