//! How long origins take, by route and origin, as one worker has seen it: what deadlines and hedges are judged by.
//!
//! Each worker learns for itself, so that a request touches no shared memory for it. [`outlook`] is what is known at
//! one moment; it is made anew only when enough has happened since.

pub mod outlook;

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

pub use outlook::Outlook;

/// Most series that a worker keeps. Routes and origins are configured, so this is out of reach but for mistakes.
const MOST_SERIES: usize = 1024;
/// A generation that is this old and has [`ENOUGH`] answers makes room for the next.
const GENERATION: Duration = Duration::from_secs(60);
/// Answers that a generation should have before it ends.
const ENOUGH: u64 = 500;
/// Age at which a generation ends however few answers it has.
const OLDEST: Duration = Duration::from_secs(900);
/// Answers without which nothing is said about an origin.
const LEAST: u64 = 50;
/// Longest time told apart, in microseconds: two minutes.
const LONGEST: u64 = 120_000_000;

/// Which requests take alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The route, by its place in the configuration.
    pub route: u16,
    /// Whether the method only reads.
    pub safe: bool,
    /// The origin, by any number of its own.
    pub origin: usize,
}

/// How long a try took until its answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The answer came after this time.
    Answered(Duration),
    /// It was given up after this time: all that is known is that it would have taken longer.
    GivenUp(Duration),
}

/// One worker's knowledge of how long origins take.
#[derive(Debug, Default)]
pub struct Latencies {
    series: RefCell<HashMap<Key, Series>>,
}

impl Latencies {
    /// Takes note of a try.
    pub fn record(&self, key: Key, sample: Sample, now: Instant) {
        let mut all = self.series.borrow_mut();
        let room = all.len() < MOST_SERIES;
        match all.entry(key) {
            Entry::Occupied(series) => series.into_mut().record(sample, now),
            Entry::Vacant(place) if room => place.insert(Series::new(now)).record(sample, now),
            Entry::Vacant(_) => {}
        }
    }

    /// What is known; `None` as long as that is too little to go by.
    pub fn outlook(&self, key: Key) -> Option<Rc<Outlook>> {
        self.series.borrow().get(&key).and_then(|series| series.outlook.clone())
    }
}

/// Times of one kind of request: those of the running generation, and of the one before.
#[derive(Debug)]
struct Series {
    now: Generation,
    before: Option<Generation>,
    outlook: Option<Rc<Outlook>>,
    /// Samples since the outlook was made.
    news: u64,
}

#[derive(Debug)]
pub(crate) struct Generation {
    began: Instant,
    answered: Histogram<u32>,
    given_up: Histogram<u32>,
}

impl Generation {
    fn new(began: Instant) -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, LONGEST, 2).expect("these bounds and this precision are valid");
        Self { began, answered: histogram(), given_up: histogram() }
    }
}

impl Series {
    fn new(now: Instant) -> Self {
        Self { now: Generation::new(now), before: None, outlook: None, news: 0 }
    }

    fn record(&mut self, sample: Sample, now: Instant) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(LONGEST).max(1);
        match sample {
            Sample::Answered(time) => self.now.answered.saturating_record(micros(time)),
            Sample::GivenUp(time) => self.now.given_up.saturating_record(micros(time)),
        }
        self.news += 1;
        // Looking anew after a tenth more keeps the cost of it far below that of the requests themselves.
        if self.news > self.samples() / 10 {
            self.look(now);
        }
    }

    fn samples(&self) -> u64 {
        let of = |generation: &Generation| generation.answered.len() + generation.given_up.len();
        of(&self.now) + self.before.as_ref().map_or(0, of)
    }

    fn look(&mut self, now: Instant) {
        self.news = 0;
        let age = now.saturating_duration_since(self.now.began);
        if age >= OLDEST || age >= GENERATION && self.now.answered.len() >= ENOUGH {
            self.before = Some(std::mem::replace(&mut self.now, Generation::new(now)));
        }
        let both = || std::iter::once(&self.now).chain(&self.before);
        let watched = both().map(|one| now.saturating_duration_since(one.began)).max().unwrap_or_default();
        let answers: u64 = both().map(|one| one.answered.len()).sum();
        let outlook = (answers >= LEAST).then(|| Outlook::of(both())).flatten();
        // Who has watched for a short time has seen the quick answers only.
        self.outlook = outlook.filter(|outlook| watched >= outlook.slowest() * 2).map(Rc::new);
    }
}

#[cfg(test)]
mod tests;
