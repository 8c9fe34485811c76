//! One request's tries: choose an origin, send, and on failure carry out what [`crate::retry`] decides; beside a slow
//! try another one, when [`crate::hedge`] says so. The first good answer wins, and the others are cancelled.

mod attempt;
mod entry;
mod keep;
mod race;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::response::Parts as ResponseHead;
use tokio::time::Instant;

use crate::balance::Tried;
use crate::body::replay::Replay;
use crate::body::upstream::UpstreamBody;
use crate::budget::Use;
use crate::connection::Connection;
use crate::error::Failure;
use crate::forward::Outgoing;
use crate::hedge::{self, Before};
use crate::latency::{Key, Outlook};
use crate::metrics::Hedged;
use crate::pool::Member;
use crate::record::Record;
use crate::retry::{Delivery, Denied, Facts, Plan, Policy, Reason, Repeat, retry_after};
use crate::route::{HedgePolicy, RoutePolicy};
use attempt::{Answer, Failed, TryError};
pub use entry::NoEntry;
use keep::Keeper;
use race::{Event, Race};

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

/// One request and what is known of its tries, which share it while they are under way.
#[derive(Debug)]
pub struct Exchange<'a> {
    connection: &'a Connection,
    outgoing: &'a Outgoing<'a>,
    policy: RoutePolicy,
    body: Option<&'a Replay>,
    start: Instant,
    record: RefCell<&'a mut Record>,
    tried: Cell<Tried>,
    tries: Cell<u32>,
    raced: Cell<bool>,
    /// When the next try is to begin beside those under way.
    hedge_at: Cell<Option<Instant>>,
    /// In less than this, hardly any try at the origin asked last has its answer.
    least: Cell<Duration>,
}

impl<'a> Exchange<'a> {
    /// A request that began at `start`, treated as its route's `policy` says, and accounted for in `record`.
    pub fn new(
        connection: &'a Connection,
        outgoing: &'a Outgoing<'a>,
        policy: RoutePolicy,
        body: Option<&'a Replay>,
        start: Instant,
        record: &'a mut Record,
    ) -> Self {
        Self {
            connection,
            outgoing,
            policy,
            body,
            start,
            record: RefCell::new(record),
            tried: Cell::default(),
            tries: Cell::new(0),
            raced: Cell::new(false),
            hedge_at: Cell::new(None),
            least: Cell::new(Duration::ZERO),
        }
    }

    /// Tries until there is an answer, or no further try is to be made.
    pub async fn run(self) -> Outcome {
        let this = &self;
        let shared = &this.connection.worker.shared;
        shared.budget.deposit(this.start.into_std());
        // The first try, and whichever follows a failed one, needs no memory of its own.
        let mut first = pin!(Some(this.attempt(Before::Nothing, false)));
        let mut race = Race::new();
        let mut keeper = Keeper::default();
        let mut failure = Failure::Reset;
        loop {
            let event = poll_fn(|cx| {
                keeper.poll(cx);
                race.poll(cx, first.as_mut(), &this.hedge_at, &this.connection.patience)
            });
            let (before, result) = match event.await {
                Event::Ended(ended) => ended,
                Event::Hedge => {
                    this.hedge_at.set(None);
                    if this.may_hedge(race.under_way(&first)) {
                        race.beside(this.attempt(Before::Beside, false));
                    }
                    continue;
                }
                Event::Retry(fresh) => {
                    let attempt = this.attempt(Before::Failure, fresh);
                    if first.is_none() {
                        first.set(Some(attempt))
                    } else {
                        race.beside(attempt)
                    }
                    continue;
                }
            };
            let (facts, last) = match result {
                Ok(answer) => match this.reason(&answer) {
                    None => {
                        if before == Before::Beside {
                            shared.metrics.hedges[Hedged::Won as usize].inc();
                        }
                        return Outcome::Answer(answer.head, answer.body);
                    }
                    Some(reason) => (this.facts_of_answer(reason, &answer), Ok(answer)),
                },
                Err(TryError::Request) => return Outcome::BrokenRequest,
                Err(TryError::NoEntry(_) | TryError::Spent) if race.goes_on(&first) => continue,
                Err(TryError::Spent) => {
                    shared.metrics.denied[Denied::Body.index()].inc();
                    return keeper.kept().unwrap_or(Outcome::Failed(failure));
                }
                Err(TryError::NoEntry(why)) => return this.stay_out(why, keeper),
                Err(TryError::Origin(failed)) => (this.facts(failed), Err(failed.reason)),
            };
            failure = Failure::of(facts.reason);
            if race.retries() {
                keeper.hold(last);
                continue;
            }
            match this.decide(&facts) {
                Ok(pause) => {
                    this.raced.set(this.raced.get() || facts.reason == Reason::IdleRace);
                    race.retry_at(Instant::now() + pause, facts.reused);
                    keeper.hold(last);
                }
                Err(denied) => {
                    shared.metrics.denied[denied.index()].inc();
                    if !race.goes_on(&first) {
                        return keeper.give_up(last);
                    }
                    keeper.hold(last);
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

    /// What is wrong with an answer, if the request is to be sent again for it.
    fn reason(&self, answer: &Answer) -> Option<Reason> {
        Reason::of_answer(answer.head.status.as_u16(), &answer.head.headers)
    }

    fn facts(&self, failed: Failed) -> Facts {
        Facts {
            reason: failed.reason,
            delivery: failed.delivery,
            reused: failed.reused,
            repeat: self.outgoing.repeat,
            replayable: self.body.is_none_or(Replay::is_replayable),
            tries: self.tries.get(),
            raced: self.raced.get(),
            retry_after: None,
            now: Instant::now().into_std(),
            deadline: self.deadline().into_std(),
            least: self.least.get(),
        }
    }

    fn facts_of_answer(&self, reason: Reason, answer: &Answer) -> Facts {
        let retry_after = retry_after(&answer.head.headers, SystemTime::now());
        Facts { retry_after, ..self.facts(Failed { reason, delivery: Delivery::Possible, reused: false }) }
    }

    /// When the client's patience ends. It is counted from the last byte of the request: an upload may take its time.
    fn deadline(&self) -> Instant {
        let from = self.body.map_or(self.start, |body| body.progress().max(self.start));
        from + self.policy.deadline
    }

    /// Which tries take as long as one at this endpoint.
    fn key(&self, member: &Member) -> Key {
        Key {
            route: self.policy.route,
            safe: self.outgoing.method.is_safe(),
            origin: Arc::as_ptr(&member.endpoint.upstream) as usize,
        }
    }

    /// Whether and when the try that begins now at `member` is to have another one beside it.
    fn plan_hedge(&self, member: &Member, before: Before) {
        let worker = &self.connection.worker;
        let Some(outlook) = worker.latencies.outlook(self.key(member)) else { return };
        self.least.set(outlook.least());
        self.hedge_at.set(self.hedging().and_then(|policy| self.hedge_at(policy, &outlook, before)));
    }

    /// Only what merely reads, and has nothing to be sent twice, is hedged.
    fn hedging(&self) -> Option<HedgePolicy> {
        let harmless = self.outgoing.repeat == Repeat::Harmless;
        self.policy.hedge.filter(|_| harmless && self.body.is_none() && self.outgoing.method.is_safe())
    }

    fn hedge_at(&self, policy: HedgePolicy, outlook: &Rc<Outlook>, before: Before) -> Option<Instant> {
        let now = Instant::now().into_std();
        let facts = hedge::Facts {
            outlook,
            began: now,
            deadline: self.deadline().into_std(),
            before,
            affordable: self.connection.worker.shared.budget.affordable(now),
        };
        hedge::when(policy, &facts).map(Instant::from_std)
    }

    /// Whether a try may begin beside those `under_way`; draws on the budget.
    fn may_hedge(&self, under_way: usize) -> bool {
        let shared = &self.connection.worker.shared;
        if !(1..hedge::MOST_AT_ONCE).contains(&under_way) || self.tries.get() >= self.policy.tries {
            return false;
        }
        let paid =
            !shared.origins.breaker.is_failing() && shared.budget.draw(Use::Hedge, Instant::now().into_std());
        let what = if paid { Hedged::Made } else { Hedged::Denied };
        shared.metrics.hedges[what as usize].inc();
        paid
    }

    /// The origin's own last answer if there is one, else why no try is made.
    fn stay_out(&self, why: NoEntry, keeper: Keeper) -> Outcome {
        self.connection.worker.shared.metrics.refused[why as usize].inc();
        keeper.kept().unwrap_or(Outcome::Failed(why.failure()))
    }
}
