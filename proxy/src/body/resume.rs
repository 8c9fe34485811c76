//! Continues an answer that broke off: the rest of the same representation, from any endpoint.
//!
//! Only where it is certain to be the same bytes: a 200 to a GET with a strong validator (RFC 9110 §8.8.1), asked for
//! with `Range` and `If-Range` (§13.1.5, §14.2), and only if what comes says that it is exactly the rest (§14.4).

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HOST, IF_RANGE, RANGE, TRANSFER_ENCODING,
};
use http::response::Parts as ResponseHead;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, sleep, timeout_at};

use super::replay::RequestBody;
use super::upstream::Place;
use crate::budget::Use;
use crate::endpoint::AttemptOutcome;
use crate::forward::Outgoing;
use crate::health::judge::judge;
use crate::pool::{Lease, Member};
use crate::retry::{Reason, Repeat};
use crate::route::RoutePolicy;
use crate::worker::Worker;

/// What it takes to ask for the rest of an answer.
pub struct Resume {
    worker: Rc<Worker>,
    uri: Uri,
    fields: HeaderMap,
    etag: HeaderValue,
    /// Length of the whole, if the answer told it.
    length: Option<u64>,
    /// Whether it is coded (`Content-Encoding`).
    coded: bool,
    policy: RoutePolicy,
    /// Tries left, for all breaks together.
    tries: u32,
}

/// The rest of an answer.
pub(super) struct Rest {
    pub(super) incoming: Incoming,
    pub(super) lease: Lease,
    pub(super) place: Place,
    /// Bytes at its beginning that have come before.
    pub(super) skip: u64,
}

/// Why there is no rest.
enum NoRest {
    /// Another try may bring it.
    Failed,
    /// The origin has it no more, or not in parts.
    Refused,
}

/// The search for the rest: it ends with what it takes to do the same again.
pub(super) struct Resuming(Pin<Box<dyn Future<Output = (Resume, Option<Rest>)>>>);

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").field("etag", &self.etag).field("tries", &self.tries).finish_non_exhaustive()
    }
}

impl fmt::Debug for Resuming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resuming")
    }
}

impl Resuming {
    /// The means to do it again, and the rest if it was found.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Resume, Option<Rest>)> {
        self.0.as_mut().poll(cx)
    }
}

impl Resume {
    /// Whether the answer with this head could be continued at all.
    fn is_possible(outgoing: &Outgoing<'_>, head: &ResponseHead) -> bool {
        outgoing.method == Method::GET
            && head.status == StatusCode::OK
            && outgoing.repeat == Repeat::Harmless
            && strong(&head.headers).is_some()
            && !outgoing.fields.contains(&RANGE)
            // Coded on the fly, it may come uncoded the next time, under the same validator.
            && (head.headers.contains_key(CONTENT_LENGTH) || !head.headers.contains_key(CONTENT_ENCODING))
    }

    /// What it takes to continue the answer with this head; `None` if that cannot be done.
    pub fn of(
        worker: &Rc<Worker>,
        outgoing: &Outgoing<'_>,
        policy: RoutePolicy,
        head: &ResponseHead,
    ) -> Option<Box<Self>> {
        if !Self::is_possible(outgoing, head) || policy.tries < 2 {
            return None;
        }
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Some(Box::new(Self {
            worker: worker.clone(),
            uri: outgoing.uri.clone(),
            fields: outgoing.fields.to_map(),
            etag: strong(&head.headers)?.clone(),
            length,
            coded: head.headers.contains_key(CONTENT_ENCODING),
            policy,
            tries: policy.tries - 1,
        }))
    }

    /// Looks for the rest from byte `from` on.
    pub(super) fn begin(self, from: u64, last: &Rc<Member>) -> Resuming {
        Resuming(Box::pin(self.search(from, last.clone())))
    }

    async fn search(mut self, from: u64, mut last: Rc<Member>) -> (Self, Option<Rest>) {
        let worker = self.worker.clone();
        let deadline = Instant::now() + self.policy.deadline;
        for made in 1.. {
            if self.tries == 0 || !worker.shared.budget.draw(Use::Retry, Instant::now().into_std()) {
                break;
            }
            self.tries -= 1;
            let members = worker.pool.members(&worker.shared.origins.endpoints);
            let now = Instant::now().into_std();
            let worst = |member: &&Rc<Member>| {
                (!member.endpoint.health.is_fit(now), Rc::ptr_eq(member, &last), member.endpoint.in_flight())
            };
            let Some(member) = members.iter().min_by_key(worst) else { break };
            last = member.clone();
            match timeout_at(deadline, self.ask(member, from)).await {
                Ok(Ok(rest)) => {
                    worker.shared.metrics.resumed.inc();
                    return (self, Some(rest));
                }
                Ok(Err(NoRest::Failed)) => {
                    sleep(worker.shared.config.retry.backoff.pause(made, worker.jitter())).await
                }
                Ok(Err(NoRest::Refused)) | Err(_) => break,
            }
        }
        (self, None)
    }

    /// Asks one endpoint, once.
    async fn ask(&self, member: &Rc<Member>, from: u64) -> Result<Rest, NoRest> {
        let started = Instant::now();
        let place = Place::take(&self.worker.shared, member.clone());
        let sent = self.send(member, from).await;
        let outcome = match &sent {
            Ok((head, ..)) => AttemptOutcome::Status(head.status.as_u16()),
            Err(reason) => AttemptOutcome::Failed(*reason),
        };
        judge(&self.worker.shared.origins, member, outcome, started);
        let (head, incoming, lease) = sent.map_err(|_| NoRest::Failed)?;
        if Reason::of_status(head.status.as_u16()).is_some() {
            return Err(NoRest::Failed);
        }
        // A rest that only ends with its connection could be cut again, and nobody would know.
        let framed = incoming.size_hint().exact().is_some() || is_chunked(&head.headers);
        let same_coding =
            head.status != StatusCode::OK || head.headers.get(CONTENT_ENCODING).is_some() == self.coded;
        if !framed || !same_coding {
            return Err(NoRest::Refused);
        }
        let skip = skipped(&head, &self.etag, from, self.length).ok_or(NoRest::Refused)?;
        Ok(Rest { incoming, lease, place, skip })
    }

    async fn send(&self, member: &Rc<Member>, from: u64) -> Result<(ResponseHead, Incoming, Lease), Reason> {
        let pool = &self.worker.pool;
        let mut lease = match pool.checkout(member, false) {
            Some(lease) => lease,
            None => pool.connect(&member.endpoint).await.map_err(|_| Reason::Connect)?,
        };
        let mut request = Request::new(RequestBody::None);
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        let mut fields = self.fields.clone();
        let range = HeaderValue::try_from(format!("bytes={from}-")).expect("digits are visible ASCII");
        fields.insert(RANGE, range);
        fields.insert(IF_RANGE, self.etag.clone());
        fields.entry(HOST).or_insert_with(|| member.endpoint.upstream.origin.authority().clone());
        *request.headers_mut() = fields;
        match lease.sender.try_send_request(request).await {
            Ok(response) => {
                let (head, incoming) = response.into_parts();
                Ok((head, incoming, lease))
            }
            Err(error) => {
                let error = error.into_error();
                tracing::debug!(%error, endpoint = %member.endpoint, "the rest of an answer did not come");
                Err(if error.is_parse() { Reason::Garbled } else { Reason::Reset })
            }
        }
    }
}

/// Whether chunks, and nothing else, carry the body.
fn is_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// The validator by which two answers are known to be the same, byte for byte.
fn strong(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""))
}

/// How much of an answer's body is known already, if it is what is missing from byte `from` on of the representation
/// with this validator and `length`.
fn skipped(head: &ResponseHead, etag: &HeaderValue, from: u64, length: Option<u64>) -> Option<u64> {
    if strong(&head.headers) != Some(etag) {
        return None;
    }
    match head.status {
        // The whole once more: it is the same.
        StatusCode::OK => Some(from),
        StatusCode::PARTIAL_CONTENT => {
            let range = head.headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
            let (range, whole) = range.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            let [first, last, whole] = [first, last, whole].map(|number| number.parse::<u64>().ok());
            let exact = first? == from
                && last?.checked_add(1)? == whole?
                && length.is_none_or(|known| Some(known) == whole);
            exact.then_some(0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_the_rest_of_the_same_is_taken() {
        let check =
            |status: u16, etag: &str, range: Option<&str>, length: Option<u64>, expect: Option<u64>| {
                let mut builder = http::Response::builder().status(status).header(ETAG, etag);
                if let Some(range) = range {
                    builder = builder.header(CONTENT_RANGE, range);
                }
                let (head, ()) = builder.body(()).unwrap().into_parts();
                let got = skipped(&head, &HeaderValue::from_static("\"a\""), 4, length);
                assert_eq!(got, expect, "{status} {etag} {range:?}");
            };
        check(206, "\"a\"", Some("bytes 4-9/10"), Some(10), Some(0));
        check(206, "\"a\"", Some("bytes 4-9/10"), None, Some(0));
        check(206, "\"a\"", Some("bytes 4-9/10"), Some(11), None);
        check(206, "\"a\"", Some("bytes 3-9/10"), Some(10), None);
        check(206, "\"a\"", Some("bytes 4-8/10"), Some(10), None);
        check(206, "\"a\"", Some("bytes 4-9/*"), Some(10), None);
        check(206, "\"a\"", Some("bytes 4-18446744073709551615/0"), None, None);
        check(206, "\"a\"", None, Some(10), None);
        check(206, "\"b\"", Some("bytes 4-9/10"), Some(10), None);
        check(206, "W/\"a\"", Some("bytes 4-9/10"), Some(10), None);
        check(200, "\"a\"", None, Some(10), Some(4));
        check(200, "\"b\"", None, Some(10), None);
        check(416, "\"a\"", Some("bytes */10"), Some(10), None);
    }
}
