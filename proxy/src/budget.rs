//! The retry budget: how much extra load all workers together may put on the origins.
//!
//! A retry draws on it when it is *planned*, so that a burst of failures cannot hide in back-off and
//! arrive all at once later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seconds that count as recent.
const WINDOW: u64 = 10;
/// One more slot than the window, so that the slot being reused is never one that still counts.
const SLOTS: usize = WINDOW as usize + 1;

/// How generous the budget is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetConfig {
    /// Retries allowed per recent request, 0 to 1.
    pub ratio: f64,
    /// Retries per second that are allowed whatever the load.
    pub floor: u32,
}

/// Retries allowed over the last 10 s: a share of the requests of that time, plus a floor.
///
/// Each second has one slot of 64 bits (second, requests, retries), changed by compare-and-swap: no lock
/// is taken on the path of a request.
#[derive(Debug)]
pub struct Budget {
    config: BudgetConfig,
    origin: Instant,
    slots: [AtomicU64; SLOTS],
}

/// One second's counts: 16 bits of the second's number, 28 of requests, 20 of retries. Counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    second: u16,
    requests: u32,
    retries: u32,
}

impl Slot {
    const MAX_REQUESTS: u32 = (1 << 28) - 1;
    const MAX_RETRIES: u32 = (1 << 20) - 1;

    fn unpack(bits: u64) -> Self {
        Self {
            second: (bits >> 48) as u16,
            requests: (bits >> 20) as u32 & Self::MAX_REQUESTS,
            retries: bits as u32 & Self::MAX_RETRIES,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.second) << 48 | u64::from(self.requests) << 20 | u64::from(self.retries)
    }

    /// This slot if it is of `second`, else an empty one.
    fn at(self, second: u16) -> Self {
        if self.second == second { self } else { Self { second, requests: 0, retries: 0 } }
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

    /// Takes one retry out of the budget; `false` when there is none left.
    pub fn draw(&self, now: Instant) -> bool {
        let (requests, retries) = self.recent(now);
        let allowed = requests as f64 * self.config.ratio + f64::from(self.config.floor) * WINDOW as f64;
        if retries as f64 + 1.0 > allowed {
            return false;
        }
        // Two workers may both see the last one and take it: the overshoot is at most the number of workers.
        self.update(now, |slot| slot.retries = (slot.retries + 1).min(Slot::MAX_RETRIES));
        true
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs() + 1
    }

    fn update(&self, now: Instant, change: impl Fn(&mut Slot)) {
        let second = self.second(now);
        let cell = &self.slots[second as usize % SLOTS];
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let mut slot = Slot::unpack(seen).at(second as u16);
            change(&mut slot);
            match cell.compare_exchange_weak(seen, slot.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// Requests and retries of the last [`WINDOW`] seconds, the running one included.
    fn recent(&self, now: Instant) -> (u64, u64) {
        let newest = self.second(now);
        let oldest = newest.saturating_sub(WINDOW - 1).max(1);
        (oldest..=newest).fold((0, 0), |(requests, retries), second| {
            let slot =
                Slot::unpack(self.slots[second as usize % SLOTS].load(Ordering::Relaxed)).at(second as u16);
            (requests + u64::from(slot.requests), retries + u64::from(slot.retries))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn draws(budget: &Budget, now: Instant) -> usize {
        std::iter::from_fn(|| budget.draw(now).then_some(())).take(100_000).count()
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
        assert!(!budget.draw(start));
    }

    #[test]
    fn requests_older_than_the_window_count_no_more_and_neither_do_retries() {
        let start = Instant::now();
        let budget = Budget::new(BudgetConfig { ratio: 1.0, floor: 0 }, start);
        (0..50).for_each(|_| budget.deposit(start));
        assert_eq!(draws(&budget, start + Duration::from_secs(9)), 50);
        let later = start + Duration::from_secs(10);
        assert!(!budget.draw(later));
        budget.deposit(start + Duration::from_secs(40));
        assert_eq!(draws(&budget, start + Duration::from_secs(40)), 1);
    }

    proptest! {
        #[test]
        fn a_slot_survives_packing(second: u16, requests in 0..=Slot::MAX_REQUESTS, retries in 0..=Slot::MAX_RETRIES) {
            let slot = Slot { second, requests, retries };
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
                } else if budget.draw(now) {
                    retries += 1;
                }
                prop_assert!(f64::from(retries) <= f64::from(requests) * 0.5);
            }
        }
    }
}
