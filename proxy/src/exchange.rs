//! One request's tries: choose an origin, send, and on failure carry out what [`crate::retry`] decides.

mod attempt;
mod entry;

use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::response::Parts as ResponseHead;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep_until};

use crate::balance::Tried;
use crate::body::replay::Replay;
use crate::body::upstream::UpstreamBody;
use crate::budget::Use;
use crate::connection::Connection;
use crate::error::Failure;
use crate::forward::Outgoing;
use crate::record::Record;
use crate::retry::{Delivery, Denied, Facts, Plan, Policy, Reason, retry_after};
use crate::route::RoutePolicy;
use attempt::{Answer, TryError};
pub use entry::NoEntry;

/// Most of a failed answer's body that is held while further tries are made, in bytes.
const MOST_KEPT: usize = 64 << 10;

/// What all tries together came to.
#[derive(Debug)]
pub enum Outcome {
    /// An origin's answer, its body still coming.
    Answer(ResponseHead, UpstreamBody),
    /// An origin's answer to an earlier try, held while later ones came to nothing.
    Kept(ResponseHead, Bytes),
    /// No answer at all.
    Failed(Failure),
    /// The client's own body broke off.
    BrokenRequest,
}

/// One request and what is known of its tries.
#[derive(Debug)]
pub struct Exchange<'a> {
    connection: &'a Connection,
    outgoing: &'a Outgoing<'a>,
    policy: RoutePolicy,
    body: Option<&'a Replay>,
    start: Instant,
    tried: Tried,
    tries: u32,
    raced: bool,
    kept: Option<(ResponseHead, Bytes)>,
}

impl<'a> Exchange<'a> {
    /// A request that began at `start`, treated as its route's `policy` says.
    pub fn new(
        connection: &'a Connection,
        outgoing: &'a Outgoing<'a>,
        policy: RoutePolicy,
        body: Option<&'a Replay>,
        start: Instant,
    ) -> Self {
        Self {
            connection,
            outgoing,
            policy,
            body,
            start,
            tried: Tried::default(),
            tries: 0,
            raced: false,
            kept: None,
        }
    }

    /// Tries until there is an answer, or no further try is to be made.
    pub async fn run(mut self, record: &mut Record) -> Outcome {
        let shared = &self.connection.worker.shared;
        shared.budget.deposit(self.start.into_std());
        let mut fresh = false;
        loop {
            let place = match self.enter().await {
                Ok(place) => place,
                Err(why) => return self.stay_out(why),
            };
            self.tried.insert(place.endpoint().number());
            self.tries += 1;
            record.attempt();
            let (facts, last) = match self.attempt(place, fresh).await {
                Ok(answer) => match Reason::of_status(answer.head.status.as_u16()) {
                    None => return Outcome::Answer(answer.head, answer.body),
                    Some(reason) => (self.facts_of_answer(reason, &answer), Ok(answer)),
                },
                Err(TryError::Request) => return Outcome::BrokenRequest,
                Err(TryError::Origin(failed)) => {
                    let facts = self.facts(failed.reason, failed.delivery, failed.reused);
                    (facts, Err(failed.reason))
                }
            };
            match self.decide(&facts) {
                Ok(pause) => {
                    self.raced |= facts.reason == Reason::IdleRace;
                    fresh = facts.reused;
                    self.pause(pause, last.ok()).await;
                }
                Err(denied) => {
                    shared.metrics.denied[denied.index()].inc();
                    return self.give_up(last);
                }
            }
        }
    }

    /// Asks the policy, then the budget; counts the retry that is made.
    fn decide(&self, facts: &Facts) -> Result<Duration, Denied> {
        let shared = &self.connection.worker.shared;
        let policy = Policy { tries: self.policy.tries, backoff: shared.config.retry.backoff };
        let pause = match policy.plan(facts, self.connection.worker.jitter()) {
            Plan::Stop(denied) => return Err(denied),
            Plan::Free => Duration::ZERO,
            // The pause would only put off what the client is going to be told.
            Plan::After(_) if shared.origins.breaker.is_failing() => return Err(Denied::Breaker),
            Plan::After(_) if !shared.budget.draw(Use::Retry, facts.now) => return Err(Denied::Budget),
            Plan::After(pause) => pause,
        };
        shared.metrics.retries[facts.reason.index()].inc();
        Ok(pause)
    }

    fn facts(&self, reason: Reason, delivery: Delivery, reused: bool) -> Facts {
        Facts {
            reason,
            delivery,
            reused,
            repeat: self.outgoing.repeat,
            replayable: self.body.is_none_or(Replay::is_replayable),
            tries: self.tries,
            raced: self.raced,
            retry_after: None,
            now: Instant::now().into_std(),
            deadline: self.deadline().into_std(),
        }
    }

    fn facts_of_answer(&self, reason: Reason, answer: &Answer) -> Facts {
        let retry_after = retry_after(&answer.head.headers, SystemTime::now());
        Facts { retry_after, ..self.facts(reason, Delivery::Possible, false) }
    }

    /// When the client's patience ends. It is counted from the last byte of the request: an upload may take its time.
    fn deadline(&self) -> Instant {
        let from = self.body.map_or(self.start, |body| body.progress().max(self.start));
        from + self.policy.deadline
    }

    /// Waits; what came of the failed try's answer by then is held, should nothing better come.
    async fn pause(&mut self, pause: Duration, failed: Option<Answer>) {
        let mut sleep = pin!(sleep_until(Instant::now() + pause));
        if let Some(Answer { head, body }) = failed {
            tokio::select! {
                biased;
                whole = collect(body) => {
                    if let Some(whole) = whole {
                        self.kept = Some((head, whole));
                    }
                }
                () = &mut sleep => return,
            }
        }
        if !pause.is_zero() {
            sleep.await;
        }
    }

    /// The origin's own last answer if there is one, else why no try is made.
    fn stay_out(self, why: NoEntry) -> Outcome {
        self.connection.worker.shared.metrics.refused[why as usize].inc();
        match self.kept {
            Some((head, body)) => Outcome::Kept(head, body),
            None => Outcome::Failed(why.failure()),
        }
    }

    /// The origin's own last answer if there is one, else what the last try came to.
    fn give_up(self, last: Result<Answer, Reason>) -> Outcome {
        match (last, self.kept) {
            (Ok(answer), _) => Outcome::Answer(answer.head, answer.body),
            (Err(_), Some((head, body))) => Outcome::Kept(head, body),
            (Err(reason), None) => Outcome::Failed(match reason {
                Reason::Connect => Failure::Connect,
                Reason::Garbled => Failure::Garbled,
                Reason::Timeout => Failure::Timeout,
                _ => Failure::Reset,
            }),
        }
    }
}

/// The whole body, if it is small and comes whole.
async fn collect(mut body: UpstreamBody) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if whole.len() + data.len() > MOST_KEPT {
                return None;
            }
            whole.extend_from_slice(&data);
        }
    }
    Some(whole.freeze())
}
