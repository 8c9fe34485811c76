use super::super::catalogue::find;
use super::super::schedule::Planned;
use super::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn sample(id: u64, at: Duration, ask: Ask, outcome: Outcome, latency: Duration) -> Sample {
    Sample { planned: Planned { id, at, ask }, outcome, latency, late: ms(1) }
}

#[test]
fn quantiles_are_times_that_occurred() {
    let times: Vec<Duration> = (1..=100).map(ms).collect();
    assert_eq!(
        [0.0, 0.5, 0.95, 0.99, 1.0].map(|q| quantile(&times, q)),
        [ms(1), ms(50), ms(95), ms(99), ms(100)]
    );
    assert_eq!(quantile(&[], 0.5), Duration::ZERO);
}

#[test]
fn each_kind_is_counted_apart_and_failures_by_what_became_of_them() {
    let mut ledger = Ledger::new(5);
    for (id, ask) in [(0, Ask::Read), (0, Ask::Read), (1, Ask::Write), (2, Ask::Write), (3, Ask::Read)] {
        ledger.arrive(id, ask, ms(0));
    }
    ledger.apply(1, Ask::Write);
    ledger.apply(1, Ask::Write);
    let samples = [
        sample(0, ms(0), Ask::Read, Outcome::Served, ms(100)),
        sample(1, ms(0), Ask::Write, Outcome::Status(503), ms(100)),
        sample(2, ms(0), Ask::Write, Outcome::Served, ms(100)),
        sample(3, ms(0), Ask::Read, Outcome::WrongBody, ms(100)),
        sample(4, ms(0), Ask::Read, Outcome::TimedOut, ms(3000)),
    ];
    let report = judge(find("resets").unwrap(), "x", &samples, &ledger);
    assert_eq!(report.reads, Served { requests: 3, served: 1, attempts: 3 });
    assert_eq!(report.writes, Served { requests: 2, served: 1, attempts: 2 });
    assert_eq!(report.keyed_writes.share(), None);
    assert_eq!(report.all(), Served { requests: 5, served: 2, attempts: 5 });
    assert_eq!((report.duplicates, report.lost_writes, report.wrong_bodies), (1, 1, 1));
    let failures: Vec<_> = report.failures.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(failures, [("503", 1), ("timed out", 1), ("wrong body", 1)]);
    // A tenth of the real system's times.
    assert_eq!((report.latency.p50, report.latency.p99), (1.0, 30.0));
}

#[test]
fn an_outage_is_judged_by_its_load_its_failures_and_its_end() {
    let scenario = find("outage").unwrap();
    // 4000 requests take 20 s; the outage lasts from 8 s to 12 s.
    let all = 4000;
    let mut ledger = Ledger::new(all);
    let samples: Vec<Sample> = (0..all)
        .map(|id| {
            let at = ms(5 * id);
            ledger.arrive(id, Ask::Read, at);
            let (outcome, latency) = match at.as_millis() {
                8_000..10_000 => (Outcome::Status(503), ms(900)),
                10_000..12_000 => (Outcome::Status(503), ms(2)),
                12_000..=12_300 => (Outcome::Status(503), ms(2)),
                _ => (Outcome::Served, ms(50)),
            };
            sample(id, at, Ask::Read, outcome, latency)
        })
        .collect();
    let outage = judge(scenario, "x", &samples, &ledger).outage.unwrap();
    assert_eq!(outage, Outage { load: 1.0, failure_p99: 0.02, recovered_after: 3.0 });
    assert_eq!(judge(find("resets").unwrap(), "x", &samples, &ledger).outage, None);
}
