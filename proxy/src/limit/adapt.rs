//! Finds how many requests an endpoint can serve at once: pure, one judgement per window.
//!
//! There is no limit until an endpoint looks crowded: answers take more than twice as long as they do in quiet times,
//! and still no more of them come. The limit is then cut to what was being served in that quiet time, and some more.
//! The cut is a test, too: where answers take as long with fewer under way, the endpoint was slow and not crowded, and
//! the limit goes. So neither slow answers nor a change among what is asked for can pin it to a crawl.

use super::LimitConfig;

/// Answers that take this many times as long as in quiet times are a sign of a crowd.
const CROWDED: f64 = 2.0;
/// Unless they come this many times as often as before.
const MORE: f64 = 1.2;
/// How much longer than in quiet times answers may take under the limit.
const HEADROOM: f64 = 1.5;
/// By how much the limit grows where it is reached and does good.
const GROWTH: f64 = 1.25;
/// A cut has done good if answers now take at most this share of the time.
const HELPED: f64 = 0.8;
/// Share by which longer times become the quiet ones, window by window.
const LEARNING: f64 = 0.05;
/// Windows in which a limit is not reached before it goes.
const IDLE: u32 = 30;

/// What was seen of one endpoint for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Mean seconds until an answer's head.
    pub latency: f64,
    /// Good answers per second.
    pub rate: f64,
    /// Whether a request found no room.
    pub bound: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    /// No limit.
    #[default]
    Open,
    /// The limit was cut when answers took this long; what began before still comes in.
    Settling(f64),
    /// The next window tells whether the cut has done good.
    Testing(f64),
    /// The limit does good; it was not reached for this many windows.
    Bound(u32),
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Adapt {
    phase: Phase,
    limit: f64,
    /// Seconds that an answer takes in quiet times; 0 while that is unknown.
    quiet: f64,
    /// Good answers per second in the window before.
    rate: f64,
}

impl Adapt {
    /// The limit after `window`.
    pub fn judge(&mut self, window: &Window, config: &LimitConfig) -> u32 {
        if self.quiet == 0.0 {
            self.quiet = window.latency;
        }
        let slow = window.latency > CROWDED * self.quiet;
        let crowded = slow && window.rate < MORE * self.rate;
        self.rate = window.rate;
        match self.phase {
            Phase::Settling(before) => self.phase = Phase::Testing(before),
            Phase::Testing(before) if window.latency > HELPED * before => {
                self.quiet = window.latency;
                self.phase = Phase::Open;
            }
            Phase::Testing(_) => self.phase = Phase::Bound(0),
            Phase::Open | Phase::Bound(_) if crowded => {
                self.limit = HEADROOM * window.rate * self.quiet;
                self.phase = Phase::Settling(window.latency);
            }
            Phase::Bound(_) if window.bound => {
                self.limit *= GROWTH;
                self.phase = Phase::Bound(0);
            }
            Phase::Bound(idle) => self.phase = if idle < IDLE { Phase::Bound(idle + 1) } else { Phase::Open },
            Phase::Open => {}
        }
        // Much longer times, and those under a limit that does good, may be the crowd's and not the endpoint's own.
        if window.latency < self.quiet {
            self.quiet = window.latency;
        } else if self.phase == Phase::Open && !slow {
            self.quiet += (window.latency - self.quiet) * LEARNING;
        }
        match self.phase {
            Phase::Open => config.max,
            _ => (self.limit.ceil() as u32).clamp(config.min.min(config.max), config.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const CONFIG: LimitConfig =
        LimitConfig { min: 16, max: 10_000, queue: 100, wait: Duration::from_secs(1) };

    /// An endpoint that serves so many at once, each in `service` seconds, and lets all others wait.
    struct Endpoint {
        at_once: f64,
        service: f64,
    }

    impl Endpoint {
        /// A window in which clients always have `wanted` requests to make.
        fn window(&self, wanted: f64, limit: u32) -> Window {
            let under_way = wanted.min(f64::from(limit));
            Window {
                latency: self.service * (under_way / self.at_once).max(1.0),
                rate: under_way.min(self.at_once) / self.service,
                bound: wanted > f64::from(limit),
            }
        }
    }

    /// The limits of windows with so many requests wanted.
    fn limits(adapt: &mut Adapt, endpoint: &Endpoint, wanted: &[f64]) -> Vec<u32> {
        let mut limit = CONFIG.max;
        let judge = |wanted: &f64| {
            limit = adapt.judge(&endpoint.window(*wanted, limit), &CONFIG);
            limit
        };
        wanted.iter().map(judge).collect()
    }

    #[test]
    fn a_crowd_is_cut_to_what_the_endpoint_can_serve_and_stays_near() {
        let (mut adapt, endpoint) = (Adapt::default(), Endpoint { at_once: 100.0, service: 0.1 });
        limits(&mut adapt, &endpoint, &[50.0; 5]);
        let found = limits(&mut adapt, &endpoint, &[2000.0; 200]);
        assert!(found[5..].iter().all(|limit| (100..=300).contains(limit)), "{found:?}");
    }

    #[test]
    fn more_requests_that_are_served_as_fast_are_no_crowd() {
        let (mut adapt, endpoint) = (Adapt::default(), Endpoint { at_once: 5000.0, service: 11.0 });
        let growing: Vec<f64> = (1..100).map(|n| f64::from(n) * 50.0).collect();
        let found = limits(&mut adapt, &endpoint, &growing);
        assert!(found.iter().all(|limit| *limit == CONFIG.max), "{found:?}");
    }

    #[test]
    fn an_endpoint_that_has_become_slow_is_not_pinned_to_a_crawl() {
        let mut adapt = Adapt::default();
        limits(&mut adapt, &Endpoint { at_once: 5000.0, service: 0.1 }, &[200.0; 5]);
        let found = limits(&mut adapt, &Endpoint { at_once: 5000.0, service: 2.0 }, &[400.0; 20]);
        assert_eq!(found[19], CONFIG.max, "{found:?}");
        assert!(found[5..].iter().all(|limit| *limit == CONFIG.max), "{found:?}");
    }

    #[test]
    fn when_the_crowd_has_gone_the_limit_goes_too() {
        let (mut adapt, endpoint) = (Adapt::default(), Endpoint { at_once: 100.0, service: 0.1 });
        limits(&mut adapt, &endpoint, &[50.0; 5]);
        limits(&mut adapt, &endpoint, &[2000.0; 50]);
        let found = limits(&mut adapt, &endpoint, &[50.0; 50]);
        assert_eq!(found[49], CONFIG.max, "{found:?}");
    }

    #[test]
    fn capacity_that_is_added_is_found() {
        let mut adapt = Adapt::default();
        limits(&mut adapt, &Endpoint { at_once: 100.0, service: 0.1 }, &[50.0; 5]);
        limits(&mut adapt, &Endpoint { at_once: 100.0, service: 0.1 }, &[2000.0; 50]);
        let found = limits(&mut adapt, &Endpoint { at_once: 1000.0, service: 0.1 }, &[2000.0; 60]);
        assert!(found[59] >= 1000, "{found:?}");
    }
}
