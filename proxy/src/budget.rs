//! The budget of further tries: how much extra load all workers together may put on the origins.
//!
//! A retry draws on it when it is *planned*, so that a burst of failures cannot hide in back-off and
//! arrive all at once later. Hedges draw on the same budget, but leave the last of it to retries: a try after a
//! failure is worth more than one beside a try that may yet succeed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seconds that count as recent.
const WINDOW: u64 = 10;
/// One more slot than the window, so that the slot being reused is never one that still counts.
const SLOTS: usize = WINDOW as usize + 1;

/// The share of the budget that hedges leave to retries.
const RESERVE: f64 = 0.05;

/// What a further try is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It follows one that failed.
    Retry,
    /// It begins beside one that is slow.
    Hedge,
}

/// How generous the budget is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetConfig {
    /// Further tries allowed per recent request, 0 to 1.
    pub ratio: f64,
    /// Further tries per second that are allowed whatever the load.
    pub floor: u32,
}

/// Further tries allowed over the last 10 s: a share of the requests of that time, plus a floor.
///
/// Each second has one slot of 64 bits (second, requests, retries, hedges), changed by compare-and-swap: no lock
/// is taken on the path of a request.
#[derive(Debug)]
pub struct Budget {
    config: BudgetConfig,
    origin: Instant,
    slots: [AtomicU64; SLOTS],
}

/// One second's counts: 10 bits of the second's number, 22 of requests, 16 of retries and of hedges. Counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    second: u16,
    requests: u32,
    retries: u32,
    hedges: u32,
}

/// What came together in the window.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    requests: u64,
    retries: u64,
    hedges: u64,
}

impl Slot {
    /// Many times the window, so that a slot of the same number is never one of another time.
    const SECONDS: u64 = 1 << 10;
    const MAX_REQUESTS: u32 = (1 << 22) - 1;
    const MAX_TRIES: u32 = (1 << 16) - 1;

    fn unpack(bits: u64) -> Self {
        Self {
            second: (bits >> 54) as u16,
            requests: (bits >> 32) as u32 & Self::MAX_REQUESTS,
            retries: (bits >> 16) as u32 & Self::MAX_TRIES,
            hedges: bits as u32 & Self::MAX_TRIES,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.second) << 54
            | u64::from(self.requests) << 32
            | u64::from(self.retries) << 16
            | u64::from(self.hedges)
    }

    /// This slot if it is of `second`, else an empty one.
    fn at(self, second: u64) -> Self {
        let second = (second % Self::SECONDS) as u16;
        if self.second == second { self } else { Self { second, ..Self::default() } }
    }
}

impl Budget {
    /// A budget whose window begins empty at `now`.
    pub fn new(config: BudgetConfig, now: Instant) -> Self {
        // Second 0 is that of an unused slot; real ones begin at 1.
        Self { config, origin: now, slots: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Counts a request that is about to be sent to an origin for the first time.
    pub fn deposit(&self, now: Instant) {
        self.update(now, |slot| slot.requests = (slot.requests + 1).min(Slot::MAX_REQUESTS));
    }

    /// Takes one further try out of the budget; `false` when there is none left for this use.
    pub fn draw(&self, of: Use, now: Instant) -> bool {
        let recent = self.recent(now);
        let allowed = match of {
            Use::Retry => self.allowed(recent),
            Use::Hedge => self.allowed(recent) * (1.0 - RESERVE),
        };
        if (recent.retries + recent.hedges) as f64 + 1.0 > allowed {
            return false;
        }
        // Two workers may both see the last one and take it: the overshoot is at most the number of workers.
        self.update(now, |slot| {
            let tries = match of {
                Use::Retry => &mut slot.retries,
                Use::Hedge => &mut slot.hedges,
            };
            *tries = (*tries + 1).min(Slot::MAX_TRIES);
        });
        true
    }

    /// The share of requests for which there is a hedge, once retries have what they need.
    pub fn affordable(&self, now: Instant) -> f64 {
        let recent = self.recent(now);
        let left = self.allowed(recent) * (1.0 - RESERVE) - recent.retries as f64;
        (left / recent.requests.max(1) as f64).clamp(0.0, 1.0)
    }

    fn allowed(&self, recent: Recent) -> f64 {
        recent.requests as f64 * self.config.ratio + f64::from(self.config.floor) * WINDOW as f64
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs() + 1
    }

    fn update(&self, now: Instant, change: impl Fn(&mut Slot)) {
        let second = self.second(now);
        let cell = &self.slots[second as usize % SLOTS];
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let mut slot = Slot::unpack(seen).at(second);
            change(&mut slot);
            match cell.compare_exchange_weak(seen, slot.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// What came in the last [`WINDOW`] seconds, the running one included.
    fn recent(&self, now: Instant) -> Recent {
        let newest = self.second(now);
        let oldest = newest.saturating_sub(WINDOW - 1).max(1);
        let mut recent = Recent::default();
        for second in oldest..=newest {
            let slot = Slot::unpack(self.slots[second as usize % SLOTS].load(Ordering::Relaxed)).at(second);
            recent.requests += u64::from(slot.requests);
            recent.retries += u64::from(slot.retries);
            recent.hedges += u64::from(slot.hedges);
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn draws(budget: &Budget, now: Instant) -> usize {
        std::iter::from_fn(|| budget.draw(Use::Retry, now).then_some(())).take(100_000).count()
    }

    #[test]
    fn a_fifth_of_recent_requests_plus_the_floor() {
        let start = Instant::now();
        let budget = Budget::new(BudgetConfig { ratio: 0.2, floor: 10 }, start);
        (0..1000).for_each(|_| budget.deposit(start));
        assert_eq!(draws(&budget, start), 200 + 100);
    }

    #[test]
    fn without_a_floor_and_without_requests_nothing_is_retried() {
        let start = Instant::now();
        let budget = Budget::new(BudgetConfig { ratio: 0.2, floor: 0 }, start);
        assert!(!budget.draw(Use::Retry, start));
    }

    #[test]
    fn requests_older_than_the_window_count_no_more_and_neither_do_retries() {
        let start = Instant::now();
        let budget = Budget::new(BudgetConfig { ratio: 1.0, floor: 0 }, start);
        (0..50).for_each(|_| budget.deposit(start));
        assert_eq!(draws(&budget, start + Duration::from_secs(9)), 50);
        let later = start + Duration::from_secs(10);
        assert!(!budget.draw(Use::Retry, later));
        budget.deposit(start + Duration::from_secs(40));
        assert_eq!(draws(&budget, start + Duration::from_secs(40)), 1);
    }

    #[test]
    fn hedges_leave_the_last_of_the_budget_to_retries() {
        let start = Instant::now();
        let budget = Budget::new(BudgetConfig { ratio: 0.2, floor: 0 }, start);
        (0..1000).for_each(|_| budget.deposit(start));
        assert!((budget.affordable(start) - 0.19).abs() < 1e-9);
        let hedges = std::iter::from_fn(|| budget.draw(Use::Hedge, start).then_some(())).count();
        assert_eq!((hedges, draws(&budget, start)), (190, 10));
        assert!(!budget.draw(Use::Hedge, start));
        assert!((budget.affordable(start) - 0.18).abs() < 1e-9, "hedges do not count against themselves");
    }

    proptest! {
        #[test]
        fn a_slot_survives_packing(
            second in 0..Slot::SECONDS as u16,
            requests in 0..=Slot::MAX_REQUESTS,
            retries in 0..=Slot::MAX_TRIES,
            hedges in 0..=Slot::MAX_TRIES,
        ) {
            let slot = Slot { second, requests, retries, hedges };
            prop_assert_eq!(Slot::unpack(slot.pack()), slot);
        }

        #[test]
        fn retries_never_exceed_the_share_of_requests(steps in proptest::collection::vec((0u64..3, any::<bool>()), 1..400)) {
            let start = Instant::now();
            let budget = Budget::new(BudgetConfig { ratio: 0.5, floor: 0 }, start);
            let (mut now, mut requests, mut retries) = (start, 0u32, 0u32);
            for (seconds, is_request) in steps {
                now += Duration::from_secs(seconds);
                if is_request {
                    budget.deposit(now);
                    requests += 1;
                } else if budget.draw(Use::Retry, now) {
                    retries += 1;
                }
                prop_assert!(f64::from(retries) <= f64::from(requests) * 0.5);
            }
        }
    }
}
