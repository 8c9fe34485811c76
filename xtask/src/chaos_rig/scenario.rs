//! What a scenario is made of: traffic, an origin's habits and faults, and the times that go with them.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

/// One scenario. Times are seconds of the real system; a run divides them by [`Scenario::scale`].
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// By what the real system's times are divided.
    pub scale: f64,
    /// Requests in all, unless told otherwise.
    pub requests: u64,
    /// Requests per second of the run, on average.
    pub rate: f64,
    /// Which requests change something.
    pub writes: Writes,
    /// What a proxy may take until the answer's head.
    pub deadline: f64,
    /// Within what time a whole answer is a success.
    pub patience: f64,
    /// How long the origin takes, evenly distributed.
    pub latency: Range<f64>,
    /// Longest body of a read, in bytes; the shortest has half of it.
    pub body: usize,
    /// Endpoints of the origin.
    pub endpoints: usize,
    /// What goes wrong, attempt by attempt.
    pub faults: &'static [Fault],
    /// When everything goes wrong at once.
    pub spells: &'static [Spell],
    /// hosp-proxy's configurations to run, beside the default one.
    pub variants: &'static [&'static str],
    /// What hosp-proxy has to reach, beside what is asked in every scenario.
    pub bars: &'static [Bar],
}

/// What hosp-proxy with one configuration has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The configuration.
    pub variant: &'static str,
    /// Least share of reads that are served.
    pub reads: f64,
    /// Most attempts at the origin per request.
    pub load: f64,
    /// Longest 99th percentile, in seconds of the real system.
    pub p99: Option<f64>,
}

/// Which requests change something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Writes {
    /// Their share among all requests.
    pub share: f64,
    /// The share of those that carry an `Idempotency-Key`.
    pub keyed: f64,
    /// The share of failed writes that were applied before they failed.
    pub applied: f64,
}

/// A kind of fault and how often it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// Share of the attempts that it befalls.
    pub share: f64,
    /// What it does.
    pub mishap: Mishap,
    /// The endpoint that has it; every one, if none is named.
    pub endpoint: Option<usize>,
}

/// What can go wrong with one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// A 5xx after the usual time.
    Error,
    /// 429 or 503 with `Retry-After: 1`, at once; whoever comes again earlier is turned away again.
    Busy,
    /// The connection is reset before the head.
    Reset,
    /// Bytes that are no HTTP, then the end of the connection.
    Garbage,
    /// Neither head nor end, ever.
    Hang,
    /// The body breaks off midway.
    Cut,
    /// The body comes slowly, but whole.
    Trickle,
    /// The body stops midway, and the connection stays.
    Stall,
}

/// A part of the run in which the origin as a whole is in another state.
#[derive(Clone, Debug, PartialEq)]
pub struct Spell {
    /// When, as a share of the run.
    pub during: Range<f64>,
    /// The state.
    pub sky: Sky,
}

/// The state of the origin as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sky {
    /// Only single attempts fail.
    Clear,
    /// Every attempt gets a 503 at once.
    Failing,
    /// Nobody listens.
    Refusing,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// GET.
    Read,
    /// POST.
    Write,
    /// POST with an `Idempotency-Key`, which the origin honours.
    KeyedWrite,
}

/// For how long, in time of the run, a client whose time is up still listens: what comes then is no success, but
/// tells a proxy that says why it failed, a moment after its deadline, from one that says nothing.
pub const GRACE: Duration = Duration::from_millis(10);

/// How long a run is expected to take beyond its schedule's last request, in the worst case.
const SLACK: Duration = Duration::from_secs(2);

impl Scenario {
    /// `seconds` of the real system, in the run.
    pub fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds / self.scale)
    }

    /// `measured` in the run, in seconds of the real system.
    pub fn unscaled(&self, measured: Duration) -> f64 {
        measured.as_secs_f64() * self.scale
    }

    /// For how long `requests` are scheduled.
    pub fn schedule(&self, requests: u64) -> Duration {
        Duration::from_secs_f64(requests as f64 / self.rate)
    }

    /// How long the whole run takes at most.
    pub fn longest(&self, requests: u64) -> Duration {
        self.schedule(requests).mul_f64(1.2) + self.scaled(self.patience) + SLACK
    }

    /// The spells of a run with `requests`: from when to when.
    pub fn spells(&self, requests: u64) -> impl Iterator<Item = (Range<Duration>, Sky)> {
        let whole = self.schedule(requests);
        self.spells
            .iter()
            .map(move |spell| (whole.mul_f64(spell.during.start)..whole.mul_f64(spell.during.end), spell.sky))
    }

    /// The state of the origin at a time of the run.
    pub fn sky(&self, requests: u64, at: Duration) -> Sky {
        self.spells(requests).find(|(during, _)| during.contains(&at)).map_or(Sky::Clear, |(_, sky)| sky)
    }
}

impl Ask {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::KeyedWrite];

    /// Whether it changes something.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read)
    }
}
