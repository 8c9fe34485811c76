//! The origin's books on one contender: every attempt, and every write that was applied.

use std::time::Duration;

use super::scenario::Ask;

/// What one contender did to the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    accounts: Vec<Account>,
    /// Attempts, in the order of their arrival.
    arrivals: Vec<Arrival>,
    /// Attempts before the time that `Retry-After` had named.
    early: u64,
    /// Requests that arrived with another body than the client sent.
    garbled: u64,
}

/// The account of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    /// Attempts whose fate was drawn: all but the early ones.
    drawn: u32,
    /// How often it was applied.
    applied: u32,
    /// Before this, it is turned away.
    not_before: Option<Duration>,
}

/// One attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When, from the start of the run.
    pub at: Duration,
    /// What it asked for.
    pub ask: Ask,
}

/// What is due to an attempt that has just arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The fate of the attempt of this number, from 0.
    Fate(u32),
    /// To be turned away: it was told to come later.
    Early,
}

impl Ledger {
    /// Books for requests with ids below `requests`.
    pub(super) fn new(requests: u64) -> Self {
        let requests = usize::try_from(requests).expect("as many as memory holds");
        Self { accounts: vec![Account::default(); requests], ..Self::default() }
    }

    /// Whether there is a request of this id.
    pub(super) fn knows(&self, id: u64) -> bool {
        id < self.accounts.len() as u64
    }

    /// Enters an attempt.
    pub(super) fn arrive(&mut self, id: u64, ask: Ask, at: Duration) -> Due {
        self.arrivals.push(Arrival { at, ask });
        let Some(account) = self.account(id) else { return Due::Early };
        if account.not_before.is_some_and(|not_before| at < not_before) {
            self.early += 1;
            return Due::Early;
        }
        account.drawn += 1;
        Due::Fate(account.drawn - 1)
    }

    /// Enters that a request was told to come again at `not_before`.
    pub(super) fn put_off(&mut self, id: u64, not_before: Duration) {
        if let Some(account) = self.account(id) {
            account.not_before = Some(not_before);
        }
    }

    /// Enters that a write was applied. With a key, the origin applies it once, however often it comes.
    pub(super) fn apply(&mut self, id: u64, ask: Ask) {
        if let Some(account) = self.account(id) {
            account.applied = if ask == Ask::KeyedWrite { 1 } else { account.applied + 1 };
        }
    }

    /// Enters that a request's body was not what the client had sent.
    pub(super) fn garbled(&mut self) {
        self.garbled += 1;
    }

    /// All attempts.
    pub(super) fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// Attempts that came too early.
    pub(super) fn early(&self) -> u64 {
        self.early
    }

    /// Requests that arrived with another body than the client sent.
    pub(super) fn garbled_requests(&self) -> u64 {
        self.garbled
    }

    /// Times that a write was applied beyond its first.
    pub(super) fn duplicates(&self) -> u64 {
        self.accounts.iter().map(|account| u64::from(account.applied.saturating_sub(1))).sum()
    }

    /// Whether a write was applied.
    pub(super) fn applied(&self, id: u64) -> bool {
        usize::try_from(id)
            .ok()
            .and_then(|id| self.accounts.get(id))
            .is_some_and(|account| account.applied > 0)
    }

    fn account(&mut self, id: u64) -> Option<&mut Account> {
        self.accounts.get_mut(usize::try_from(id).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn attempts_are_numbered_for_each_request() {
        let mut ledger = Ledger::new(3);
        let due = [1, 1, 2, 1].map(|id| ledger.arrive(id, Ask::Read, ms(0)));
        assert_eq!(due, [Due::Fate(0), Due::Fate(1), Due::Fate(0), Due::Fate(2)]);
        assert_eq!(ledger.arrivals().len(), 4);
    }

    #[test]
    fn whoever_comes_too_early_is_turned_away_and_no_fate_is_used_up() {
        let mut ledger = Ledger::new(1);
        assert_eq!(ledger.arrive(0, Ask::Read, ms(10)), Due::Fate(0));
        ledger.put_off(0, ms(1010));
        assert_eq!(ledger.arrive(0, Ask::Read, ms(500)), Due::Early);
        assert_eq!(ledger.arrive(0, Ask::Read, ms(1010)), Due::Fate(1));
        assert_eq!((ledger.early(), ledger.arrivals().len()), (1, 3));
    }

    #[test]
    fn a_write_applied_twice_is_a_duplicate_unless_it_has_a_key() {
        let mut ledger = Ledger::new(4);
        for (id, ask) in [(0, Ask::Write), (1, Ask::Write), (1, Ask::Write), (1, Ask::Write)] {
            ledger.apply(id, ask);
        }
        ledger.apply(2, Ask::KeyedWrite);
        ledger.apply(2, Ask::KeyedWrite);
        assert_eq!(ledger.duplicates(), 2);
        assert_eq!([0, 1, 2, 3].map(|id| ledger.applied(id)), [true, true, true, false]);
    }
}
