//! The way in for one try: to an endpoint with room, past the breaker, after a short wait if need be.

use std::rc::Rc;

use tokio::time::{Instant, timeout_at};

use super::Exchange;
use crate::balance::{Pick, Standing, pick};
use crate::body::upstream::Place;
use crate::breaker::{Cause, Verdict};
use crate::error::Failure;
use crate::limit::queue::Told;
use crate::pool::Member;
use crate::retry::Repeat;
use crate::route::Priority;

/// Why a try is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEntry {
    /// The origins fail whatever they are asked.
    Failing,
    /// No origin can be reached, and that for longer than anybody waits.
    Unreachable,
    /// There is no room, nor will there be in time.
    Full,
}

impl NoEntry {
    /// The values of the `reason` label, in the order of the variants.
    pub const NAMES: [&str; 3] = ["failing", "unreachable", "full"];

    /// What the client is told.
    pub const fn failure(self) -> Failure {
        match self {
            Self::Failing => Failure::Failing,
            Self::Unreachable => Failure::Connect,
            Self::Full => Failure::Full,
        }
    }
}

/// What came of one look for a place.
#[derive(Debug)]
enum Look {
    /// A place.
    Found(Place),
    /// None as yet, and at most until then.
    Wait(Instant, NoEntry),
    /// None.
    Never(NoEntry),
}

impl Exchange<'_> {
    /// A place for a try, at another endpoint than before if there is one. Waits for it, if need be.
    pub(super) async fn enter(&self) -> Result<Place, NoEntry> {
        let began = Instant::now();
        // Those who wait already go first, but for the most important.
        if self.connection.worker.shared.origins.queue.waiting() == 0
            || self.policy.priority == Priority::Critical
        {
            match self.look(began, began) {
                Look::Found(place) => return Ok(place),
                Look::Never(why) => return Err(why),
                Look::Wait(..) => {}
            }
        }
        // Boxed: hardly any request waits, and each has room for this in its memory.
        Box::pin(self.wait(began)).await
    }

    /// Waits for a place, among those who do.
    async fn wait(&self, began: Instant) -> Result<Place, NoEntry> {
        loop {
            let queue = &self.connection.worker.shared.origins.queue;
            let mut ticket = queue.join(self.policy.priority).map_err(|_| NoEntry::Full)?;
            // What came free before the ticket was there was nobody's to tell.
            let (until, why) = match self.look(began, Instant::now()) {
                Look::Found(place) => return Ok(place),
                Look::Never(why) => return Err(why),
                Look::Wait(until, why) => (until, why),
            };
            match timeout_at(until.min(self.deadline()), ticket.told()).await {
                Ok(Told::Go) => {}
                Ok(Told::Shed) => return Err(NoEntry::Full),
                Err(_) => return Err(why),
            }
            // Before it joins again, where it might find no place to wait.
            match self.look(began, Instant::now()) {
                Look::Found(place) => return Ok(place),
                Look::Never(why) => return Err(why),
                Look::Wait(..) => {}
            }
        }
    }

    /// Looks once for a place, for a try that has wanted one since `began`.
    fn look(&self, began: Instant, now: Instant) -> Look {
        let worker = &self.connection.worker;
        let shared = &worker.shared;
        let members = worker.pool.members(&shared.origins.endpoints);
        let at = match self.pick(&members, now) {
            Pick::At(at) => at,
            Pick::Full => {
                members.iter().for_each(|member| member.endpoint.limit.was_full());
                return Look::Wait(began + shared.origins.config().concurrency.wait, NoEntry::Full);
            }
            // No name has been looked up as yet.
            Pick::Nobody => {
                let until = began + shared.origins.config().breaker.hold;
                return if now < until {
                    Look::Wait(until, NoEntry::Unreachable)
                } else {
                    Look::Never(NoEntry::Unreachable)
                };
            }
        };
        // The breaker is asked last: the one try that it lets pass now and then has to be made.
        match shared.origins.breaker.admit(now.into_std(), self.outgoing.repeat == Repeat::Harmless) {
            Verdict::Pass => Look::Found(Place::take(shared, members[at].clone())),
            Verdict::Hold(until) => Look::Wait(until.into(), NoEntry::Unreachable),
            Verdict::Refuse(Cause::Failing) => Look::Never(NoEntry::Failing),
            Verdict::Refuse(Cause::Unreachable) => Look::Never(NoEntry::Unreachable),
        }
    }

    fn pick(&self, members: &[Rc<Member>], now: Instant) -> Pick {
        let std_now = now.into_std();
        let standings = members.iter().map(|member| {
            let endpoint = &member.endpoint;
            Standing {
                tier: endpoint.upstream.tier,
                healthy: endpoint.health.is_fit(std_now),
                has_room: endpoint.has_room(),
                tried: self.tried.get().contains(endpoint.number()),
            }
        });
        let worker = &self.connection.worker;
        let slow_start = worker.shared.origins.config().health.slow_start;
        let cost =
            |at: usize| members[at].cost(now) / members[at].endpoint.health.weight(std_now, slow_start);
        pick(standings, cost, |below| worker.dice(below))
    }
}
