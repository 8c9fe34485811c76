//! Which requests leave when. Pure: the seed decides, so that all contenders get the same requests.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::content::spread;
use super::scenario::{Ask, Scenario};

/// A request and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Unique in the run; counted from 0.
    pub id: u64,
    /// When it leaves, from the start of the run.
    pub at: Duration,
    /// What it asks for.
    pub ask: Ask,
}

/// The first `requests` of the scenario: independent arrivals at its mean rate (a Poisson process).
pub(super) fn schedule(scenario: &Scenario, seed: u64, requests: u64) -> Vec<Planned> {
    let mut rng = SmallRng::seed_from_u64(spread(seed));
    let mut seconds = 0.0;
    let plan = |id| {
        let uniform: f64 = rng.random();
        seconds += -(1.0 - uniform).ln() / scenario.rate;
        let writes = rng.random::<f64>() < scenario.writes.share;
        let keyed = rng.random::<f64>() < scenario.writes.keyed;
        let ask = match (writes, keyed) {
            (false, _) => Ask::Read,
            (true, false) => Ask::Write,
            (true, true) => Ask::KeyedWrite,
        };
        Planned { id, at: Duration::from_secs_f64(seconds), ask }
    };
    (0..requests).map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::find;
    use super::*;

    #[test]
    fn the_seed_decides_the_whole_schedule() {
        let writes = find("writes").unwrap();
        assert_eq!(schedule(writes, 1, 200), schedule(writes, 1, 200));
        assert_ne!(schedule(writes, 1, 200), schedule(writes, 2, 200));
    }

    #[test]
    fn rate_and_shares_are_the_scenarios() {
        let errors = find("errors-30").unwrap();
        let plan = schedule(errors, 1, 10_000);
        let seconds = plan[9_999].at.as_secs_f64();
        assert!((31.0..36.0).contains(&seconds), "{seconds}");
        assert!(plan.is_sorted_by_key(|planned| planned.at));
        let writes = plan.iter().filter(|planned| planned.ask == Ask::Write).count();
        assert!((900..1100).contains(&writes), "{writes}");
        let writes = schedule(find("writes").unwrap(), 1, 10_000);
        let keyed = writes.iter().filter(|planned| planned.ask == Ask::KeyedWrite).count();
        assert!((4800..5200).contains(&keyed), "{keyed}");
    }
}
