//! Which requests leave when. Pure: the seed and the rate decide.

use std::time::Duration;

use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Patients asked for; a few of them much more often than the others.
const PATIENTS: u32 = 500;
/// Static files asked for.
const ASSETS: u32 = 20;

/// The traffic's mix, in percent.
const MIX: [(Route, u32); 6] = [
    (Route::ReadNotes, 45),
    (Route::Patient, 25),
    (Route::WriteNote, 10),
    (Route::Static, 10),
    (Route::Patients, 5),
    (Route::Report, 5),
];

#[derive(Clone, Copy, Debug)]
enum Route {
    ReadNotes,
    Patient,
    WriteNote,
    Static,
    Patients,
    Report,
}

/// A request and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it leaves, from the start of the run.
    pub at: Duration,
    /// Path of its target.
    pub path: String,
    /// Body of a POST; a GET has none.
    pub body: Option<String>,
}

impl Planned {
    /// Its method.
    pub fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }
}

/// The rate is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("--rate {0}: requests per second, above 0 and up to 100000")]
pub struct BadRate(f64);

/// An endless schedule: independent arrivals at a mean rate (a Poisson process), over a fixed mix of routes.
#[derive(Clone, Debug)]
pub struct Plan {
    rng: SmallRng,
    seed: u64,
    rate: f64,
    seconds: f64,
    sent: u64,
    mix: WeightedIndex<u32>,
    patients: WeightedIndex<f64>,
    assets: WeightedIndex<f64>,
}

impl Plan {
    /// The schedule of this seed, at `rate` requests per second on average.
    pub fn new(seed: u64, rate: f64) -> Result<Self, BadRate> {
        if !(rate > 0.0 && rate <= 100_000.0) {
            return Err(BadRate(rate));
        }
        let mix = WeightedIndex::new(MIX.map(|(_, share)| share)).expect("the shares are positive");
        Ok(Self {
            rng: SmallRng::seed_from_u64(seed),
            seed,
            rate,
            seconds: 0.0,
            sent: 0,
            mix,
            patients: zipf(PATIENTS),
            assets: zipf(ASSETS),
        })
    }

    fn patient(&mut self) -> usize {
        self.patients.sample(&mut self.rng) + 1
    }
}

/// Zipf's law: the n-th of `len` things is asked for in proportion to 1/n.
fn zipf(len: u32) -> WeightedIndex<f64> {
    WeightedIndex::new((1..=len).map(|rank| 1.0 / f64::from(rank))).expect("the weights are positive")
}

impl Iterator for Plan {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let uniform: f64 = self.rng.random();
        self.seconds += -(1.0 - uniform).ln() / self.rate;
        self.sent += 1;
        let (route, _) = MIX[self.mix.sample(&mut self.rng)];
        let path = match route {
            Route::ReadNotes | Route::WriteNote => format!("/patients/{}/notes", self.patient()),
            Route::Patient => format!("/patients/{}", self.patient()),
            Route::Static => format!("/static/{}.css", self.assets.sample(&mut self.rng) + 1),
            Route::Patients => "/patients".to_owned(),
            Route::Report => format!("/reports/{}", self.patient()),
        };
        let body = matches!(route, Route::WriteNote)
            .then(|| format!(r#"{{"id":"{}-{}","text":"eats well, limps less"}}"#, self.seed, self.sent));
        Some(Planned { at: Duration::from_secs_f64(self.seconds), path, body })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn first(n: usize) -> Vec<Planned> {
        Plan::new(3, 1000.0).unwrap().take(n).collect()
    }

    #[test]
    fn the_seed_decides_the_whole_schedule() {
        assert_eq!(first(200), first(200));
        assert_ne!(first(200), Plan::new(4, 1000.0).unwrap().take(200).collect::<Vec<_>>());
    }

    #[test]
    fn the_rate_is_kept_on_average_and_times_only_grow() {
        let plan = first(20_000);
        let seconds = plan.last().unwrap().at.as_secs_f64();
        assert!((19.0..21.0).contains(&seconds), "{seconds}");
        assert!(plan.is_sorted_by_key(|planned| planned.at));
    }

    #[test]
    fn a_tenth_writes_and_each_note_has_an_id_of_its_own() {
        let bodies: Vec<_> = first(20_000).into_iter().filter_map(|planned| planned.body).collect();
        assert!((1800..2200).contains(&bodies.len()), "{}", bodies.len());
        assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), bodies.len());
    }

    #[test]
    fn a_few_patients_are_asked_for_most() {
        let plan = first(20_000);
        let asked = |path: &str| plan.iter().filter(|planned| planned.path == path).count();
        assert!(asked("/patients/1") > 20 * asked("/patients/400").max(1), "{}", asked("/patients/1"));
    }

    #[test]
    fn a_rate_that_is_none_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Plan::new(1, rate).is_err(), "{rate}");
        }
    }
}
