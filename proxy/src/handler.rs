//! One request from its head to its answer's head: the layers in their order.
//!
//! 1. **record**: everything after it is counted and logged, whatever happens.
//! 2. **request id**: whatever is answered, refusals included, carries it.
//! 3. **admission** (framing, form, target): before anything is looked up or sent on doubtful grounds.
//! 4. **cache**: a hit costs no origin, no deadline and no budget.
//! 5. **route**: the policy that counts, resolved once, when it is known that an origin is needed.
//! 6. **forwarding**: the head for the origins, made once for all tries.
//! 7. **exchange**: deadline, retries with their budget, balancing, pool, origin.
//! 8. back again: the answer's head, into the cache if it may, and out.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, DATE};
use http::request::Parts as RequestHead;
use http::response::Parts as ResponseHead;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use crate::body::ResponseBody;
use crate::body::replay::Replay;
use crate::body::resume::Resume;
use crate::body::upstream::UpstreamBody;
use crate::cache::decide::{self, Ask};
use crate::cache::fill::Fill;
use crate::cache::key::KeyRef;
use crate::cache::select::selectors;
use crate::cache::store::{Found, Generation, Meta};
use crate::cache::{CacheResult, freshness, hit};
use crate::connection::Connection;
use crate::error::{Failure, Refusal};
use crate::exchange::{Exchange, Outcome};
use crate::forward::{self, Outgoing, Target};
use crate::record::Record;
use crate::request_id::X_REQUEST_ID;
use crate::route::RoutePolicy;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Answers one request. It cannot fail: whatever goes wrong becomes an answer.
pub async fn handle(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let start = Instant::now();
    let (mut head, body) = request.into_parts();
    let worker = &connection.worker;
    let id = worker.ids.of(&head.headers);
    let record = Record::open(&connection, &head, &id, start);
    let both_lengths = connection.link.scanner().is_some_and(|s| s.take_verdict(!body.is_end_stream()));
    let mut response = match admit(&mut head, both_lengths) {
        Ok(target) => pass(&connection, head, body, &target, &id, record, start).await,
        Err(refusal) => refuse(refusal, record),
    };
    response.headers_mut().insert(X_REQUEST_ID, id);
    if worker.closing.get() {
        // Closed now, the connection could take a request with it that is on its way.
        response.headers_mut().insert(CONNECTION, const { HeaderValue::from_static("close") });
    }
    Ok(response)
}

fn admit(head: &mut RequestHead, both_lengths: bool) -> Result<Target, Refusal> {
    if both_lengths {
        return Err(Refusal::Framing);
    }
    forward::admit(head)?;
    Target::of(head)
}

/// Answers an admitted request: from the cache, or else from an origin.
async fn pass(
    connection: &Connection,
    head: RequestHead,
    body: Incoming,
    target: &Target,
    id: &HeaderValue,
    mut record: Record,
    start: Instant,
) -> Response<ResponseBody> {
    let shared = &connection.worker.shared;
    let key = KeyRef::of(&head.method, target);
    let mut lookup = None;
    if let Some(cache) = &shared.cache {
        let ask = Ask::of(&head.method, &head.headers);
        let found = match ask.look {
            Ok(()) => cache.find(&key, &ask, &head.headers, start),
            Err(why) => Found::Nothing(why),
        };
        let result = match found {
            Found::Fresh(stored, age) => {
                record.cache(CacheResult::Hit);
                return whole(hit::answer(&stored, age, &head.headers), record);
            }
            Found::Nothing(why) => why,
        };
        record.cache(result);
        if ask.directives.only_if_cached {
            return refuse(Refusal::NotStored, record);
        }
        lookup = Some(Lookup { result, asked: cache.generation(&key), ask, key, start });
    }

    let policy = shared.config.routes.resolve(&head.method, target.uri.path());
    let mut outgoing =
        forward::request(head, target, id.clone(), &connection.client, &shared.config.forwarded);
    outgoing.repeat = outgoing.repeat.under(policy.repeat);
    let replay = (!body.is_end_stream()).then(|| Replay::new(body, policy.replay, start));
    let outcome =
        Exchange::new(connection, &outgoing, policy, replay.as_ref(), start, &mut record).run().await;
    if replay.is_some_and(|body| body.has_ended())
        && let Some(scanner) = connection.link.scanner()
    {
        scanner.body_ended();
    }
    match outcome {
        Outcome::Answer(head, body) => {
            answer(connection, &outgoing, policy, lookup.as_ref(), head, body, record)
        }
        Outcome::Kept(mut head, body) => match forward::response(&mut head) {
            Ok(()) => {
                tell_cache_status(&mut head, lookup.as_ref(), false);
                tell_timing(&mut head, connection, &record);
                whole(Response::from_parts(head, body), record)
            }
            Err(forward::UnknownCoding) => fail(Failure::Garbled, record),
        },
        Outcome::Failed(failure) => fail(failure, record),
        Outcome::BrokenRequest => refuse(Refusal::Body, record),
    }
}

/// What the cache was asked and what it said, for when the answer comes.
struct Lookup<'a> {
    result: CacheResult,
    ask: Ask,
    key: KeyRef<'a>,
    asked: Generation,
    start: Instant,
}

/// An origin's answer on its way out.
fn answer(
    connection: &Connection,
    outgoing: &Outgoing<'_>,
    policy: RoutePolicy,
    lookup: Option<&Lookup<'_>>,
    mut head: ResponseHead,
    mut body: UpstreamBody,
    mut record: Record,
) -> Response<ResponseBody> {
    let has_framing = body.has_framing(&head.headers);
    if forward::response(&mut head).is_err() {
        return fail(Failure::Garbled, record);
    }
    let shared = &connection.worker.shared;
    if let (Some(cache), Some(lookup)) = (&shared.cache, lookup)
        && decide::invalidates(&outgoing.method, head.status)
    {
        cache.invalidate(&lookup.key);
    }
    let fill = lookup.filter(|_| has_framing).and_then(|lookup| fill(connection, outgoing, lookup, &head));
    tell_cache_status(&mut head, lookup, fill.is_some());
    if let Some(fill) = fill {
        body.fill(fill);
    }
    if has_framing && let Some(resume) = Resume::of(&connection.worker, outgoing, policy, &head) {
        body.resume(resume);
    }
    tell_timing(&mut head, connection, &record);
    record.answered(head.status);
    Response::from_parts(head, ResponseBody::stream(body, record))
}

/// The way into the cache for an answer, if it may be stored.
fn fill(
    connection: &Connection,
    outgoing: &Outgoing<'_>,
    lookup: &Lookup<'_>,
    head: &ResponseHead,
) -> Option<Fill> {
    let shared = &connection.worker.shared;
    let policy = shared.cache.as_ref()?.policy();
    if !decide::may_store(&lookup.ask, &head.headers, policy) {
        return None;
    }
    let (now, received) = (Instant::now(), SystemTime::now());
    let sent = outgoing.fields.to_map();
    let storing = decide::storing(&lookup.ask, &sent, head.status, &head.headers, received, policy)?;
    let vary = selectors(storing.vary, &sent, shared.config.forwarded.trust)?;
    let delay: Duration = now.saturating_duration_since(lookup.start);
    let initial_age = freshness::initial_age(&head.headers, received, delay);
    let meta = Meta {
        vary,
        received: now,
        initial_age,
        lifetime: storing.lifetime,
        for_everyone: storing.for_everyone,
    };
    let mut headers = head.headers.clone();
    headers.remove(X_REQUEST_ID);
    headers.append(CACHE_STATUS, CacheResult::Hit.status_field(true));
    // RFC 9110 §6.6.1: an answer that is stored without a date gets that of its arrival.
    if !headers.contains_key(DATE) {
        let date = HeaderValue::try_from(httpdate::fmt_http_date(received)).expect("a date is visible ASCII");
        headers.insert(DATE, date);
    }
    Fill::begin(shared, lookup.key.to_key(), lookup.asked, (head.status, headers), meta)
}

fn tell_cache_status(head: &mut ResponseHead, lookup: Option<&Lookup<'_>>, stored: bool) {
    if let Some(lookup) = lookup {
        head.headers.append(CACHE_STATUS, lookup.result.status_field(stored));
    }
}

/// Not part of what is stored: it is of this request only.
fn tell_timing(head: &mut ResponseHead, connection: &Connection, record: &Record) {
    if connection.worker.shared.config.log.server_timing {
        head.headers.append(SERVER_TIMING, record.timing());
    }
}

fn refuse(refusal: Refusal, record: Record) -> Response<ResponseBody> {
    whole(refusal.response(|text| text), record)
}

fn fail(failure: Failure, record: Record) -> Response<ResponseBody> {
    whole(failure.response(|text| text), record)
}

fn whole(response: Response<Bytes>, mut record: Record) -> Response<ResponseBody> {
    record.answered(response.status());
    response.map(|body| ResponseBody::whole(body, record))
}
