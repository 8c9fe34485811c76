//! The scenarios. Each says why its figures are what they are.

use super::scenario::{Bar, Fault, Mishap, Scenario, Sky, Spell, Writes};

/// A tenth of the requests write; half of the failed ones had been applied.
const SOME_WRITES: Writes = Writes { share: 0.1, keyed: 0.0, applied: 0.5 };

/// The hospital's own trouble: 5 % 5xx, 2 to 20 s. A twentieth of the time makes 100 ms to 1 s of it, far above
/// what a busy machine adds by itself.
const ERRORS: Scenario = Scenario {
    name: "errors-30",
    about: "5 % 5xx, answers of 2 to 20 s, deadline 30 s",
    scale: 20.0,
    requests: 6000,
    rate: 300.0,
    writes: SOME_WRITES,
    deadline: 30.0,
    patience: 30.0,
    latency: 2.0..20.0,
    body: 4 << 10,
    endpoints: 1,
    faults: &[everywhere(0.05, Mishap::Error)],
    spells: &[],
    variants: &["budget-70"],
    // An engine that never hedges reaches 99.13 % within 30 s; one that hedges after 10 s, 99.95 % at 1.62.
    bars: &[bar("default", 0.993, 1.25), bar("budget-70", 0.9993, 1.65)],
};

/// An origin that is quick when it answers, so that the faults are all there is to see.
const QUICK: Scenario = Scenario {
    name: "quick",
    about: "",
    scale: 10.0,
    requests: 4000,
    rate: 200.0,
    latency: 0.2..1.0,
    variants: &[],
    faults: &[],
    bars: &[],
    ..ERRORS
};

/// All scenarios.
pub const SCENARIOS: [Scenario; 12] = [
    ERRORS,
    Scenario {
        name: "errors-45",
        about: "5 % 5xx, answers of 2 to 20 s, deadline 45 s",
        deadline: 45.0,
        patience: 45.0,
        bars: &[bar("default", 0.9997, 1.2)],
        variants: &[],
        ..ERRORS
    },
    Scenario {
        name: "errors-60",
        about: "5 % 5xx, answers of 2 to 20 s, deadline 60 s",
        deadline: 60.0,
        patience: 60.0,
        bars: &[bar("default", 0.9999, 1.1)],
        variants: &[],
        ..ERRORS
    },
    Scenario {
        name: "resets",
        about: "3 % resets and 2 % garbage before the head",
        faults: &[everywhere(0.03, Mishap::Reset), everywhere(0.02, Mishap::Garbage)],
        ..QUICK
    },
    // Large enough for several reads and writes at every hop.
    Scenario {
        name: "cut-bodies",
        about: "3 % of the bodies break off midway; strong ETag, ranges available",
        body: 64 << 10,
        requests: 3000,
        rate: 150.0,
        faults: &[everywhere(0.03, Mishap::Cut)],
        bars: &[bar("default", 1.0, 1.1)],
        ..QUICK
    },
    // 4 s of the run are 40 s of the real system: longer than any deadline, so that nobody can sit it out.
    Scenario {
        name: "outage",
        about: "every attempt fails at once for 40 s, then all is well",
        spells: &[Spell { during: 0.4..0.6, sky: Sky::Failing }],
        ..QUICK
    },
    Scenario {
        name: "bad-endpoint",
        about: "two endpoints; one fails 80 % (5xx, resets, hung)",
        endpoints: 2,
        bars: &[bar("default", 0.9999, 2.0)],
        faults: &[on_second(0.4, Mishap::Error), on_second(0.3, Mishap::Reset), on_second(0.1, Mishap::Hang)],
        ..QUICK
    },
    // A fifth of the time only: the tail is compared with an ordinary answer of 0.2 s, which must stay well
    // above the machine's own noise.
    Scenario {
        name: "hung",
        about: "2 % of the attempts are never answered; the others take 0.1 to 0.3 s",
        scale: 5.0,
        requests: 5000,
        rate: 250.0,
        latency: 0.1..0.3,
        faults: &[everywhere(0.02, Mishap::Hang)],
        bars: &[Bar { p99: Some(0.6), ..bar("default", 0.9999, 1.1) }],
        ..QUICK
    },
    Scenario {
        name: "writes",
        about: "POST only; 6 % fail after being applied (5xx, resets, hung); half carry an Idempotency-Key",
        requests: 3000,
        writes: Writes { share: 1.0, keyed: 0.5, applied: 1.0 },
        faults: &[
            everywhere(0.02, Mishap::Error),
            everywhere(0.02, Mishap::Reset),
            everywhere(0.02, Mishap::Hang),
        ],
        ..QUICK
    },
    // `Retry-After` counts whole seconds, so this one runs in real time.
    Scenario {
        name: "retry-after",
        about: "30 % of the answers are 429 or 503 with Retry-After: 1",
        scale: 1.0,
        requests: 3000,
        writes: Writes { share: 0.0, keyed: 0.0, applied: 0.0 },
        deadline: 10.0,
        patience: 10.0,
        latency: 0.02..0.1,
        faults: &[everywhere(0.3, Mishap::Busy)],
        variants: &["budget-70"],
        ..QUICK
    },
    // The origin ends what it has begun before it goes, as a server does that is restarted.
    Scenario {
        name: "refused",
        about: "three times, connections are refused for 2.5 s; half of the requests are POST",
        writes: Writes { share: 0.5, keyed: 0.0, applied: 0.5 },
        spells: &[
            Spell { during: 0.2..0.2125, sky: Sky::Refusing },
            Spell { during: 0.45..0.4625, sky: Sky::Refusing },
            Spell { during: 0.7..0.7125, sky: Sky::Refusing },
        ],
        ..QUICK
    },
    Scenario {
        name: "slow-bodies",
        about: "10 % of the bodies take 5 to 20 s; 1 % stop midway for good",
        requests: 2000,
        rate: 100.0,
        body: 32 << 10,
        patience: 60.0,
        faults: &[everywhere(0.1, Mishap::Trickle), everywhere(0.01, Mishap::Stall)],
        ..QUICK
    },
];

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

const fn everywhere(share: f64, mishap: Mishap) -> Fault {
    Fault { share, mishap, endpoint: None }
}

const fn on_second(share: f64, mishap: Mishap) -> Fault {
    Fault { share, mishap, endpoint: Some(1) }
}

const fn bar(variant: &'static str, reads: f64, load: f64) -> Bar {
    Bar { variant, reads, load, p99: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_scenario_can_be_run_and_is_found_by_its_name() {
        let names: BTreeSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        for scenario in &SCENARIOS {
            let name = scenario.name;
            assert_eq!(find(name), Some(scenario));
            let faults: f64 = scenario.faults.iter().map(|fault| fault.share).sum();
            assert!((0.0..=1.0).contains(&faults), "{name}: {faults}");
            assert!(scenario.patience >= scenario.deadline, "{name}: the client gives up before the proxy");
            let endpoints = scenario.faults.iter().filter_map(|fault| fault.endpoint);
            assert!(endpoints.into_iter().all(|endpoint| endpoint < scenario.endpoints), "{name}");
            // nginx counts the time for which it takes an endpoint out in whole seconds; its default has ten.
            assert!(scenario.endpoints == 1 || scenario.scale == 10.0, "{name}");
            // What a busy machine adds to a time must not decide.
            assert!(scenario.scaled(scenario.latency.start) >= Duration::from_millis(20), "{name}");
        }
    }

    #[test]
    fn spells_begin_and_end() {
        let outage = find("outage").unwrap();
        let at = |share: f64| outage.sky(4000, outage.schedule(4000).mul_f64(share));
        assert_eq!(
            [at(0.39), at(0.4), at(0.59), at(0.61)],
            [Sky::Clear, Sky::Failing, Sky::Failing, Sky::Clear]
        );
    }
}
