//! The printed table of one scenario.

use xtask::chaos_rig::report::{Report, Served};
use xtask::chaos_rig::scenario::Ask;
use xtask::table::Table;

use super::stage::Finished;

/// A column: its head, and a contender's cell in it. Columns without a figure in any row are left out.
struct Column {
    head: &'static str,
    cell: fn(&Report) -> Option<String>,
}

const COLUMNS: [Column; 16] = [
    Column { head: "reads ok", cell: |report| percent(report.of(Ask::Read)) },
    Column { head: "writes ok", cell: |report| percent(report.of(Ask::Write)) },
    Column { head: "keyed ok", cell: |report| percent(report.of(Ask::KeyedWrite)) },
    Column { head: "wrong", cell: |report| Some(report.wrong_bodies.to_string()) },
    Column { head: "p50", cell: |report| Some(seconds(report.latency.p50)) },
    Column { head: "p95", cell: |report| Some(seconds(report.latency.p95)) },
    Column { head: "p99", cell: |report| Some(seconds(report.latency.p99)) },
    Column { head: "load", cell: |report| report.all().load().map(|load| format!("{load:.3}")) },
    Column { head: "dup", cell: |report| Some(report.duplicates.to_string()) },
    Column { head: "lost", cell: |report| unless_zero(report.lost_writes) },
    Column { head: "mangled", cell: |report| unless_zero(report.garbled_requests) },
    Column { head: "early", cell: |report| unless_zero(report.early) },
    Column { head: "load then", cell: |report| report.outage.map(|outage| format!("{:.3}", outage.load)) },
    Column { head: "fails in", cell: |report| report.outage.map(|outage| seconds(outage.failure_p99)) },
    Column { head: "back after", cell: |report| report.outage.map(|outage| seconds(outage.recovered_after)) },
    Column { head: "failures", cell: |report| (!report.failures.is_empty()).then(|| failures(report)) },
];

const LEGEND: &str = "load: attempts at the origin per request; dup: writes applied again; wrong: answers that \
                      looked right and were not. Times are the real system's, from the scheduled time.";

/// The table of one scenario, with its head and its reading aid.
pub(super) fn of(finished: &Finished) -> String {
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| finished.reports.iter().any(|report| (column.cell)(report).is_some()))
        .collect();
    let head = std::iter::once("").chain(shown.iter().map(|column| column.head));
    let mut table = Table::new(head);
    for report in &finished.reports {
        let cell = |column: &&Column| (column.cell)(report).unwrap_or_else(|| "-".to_owned());
        table.row(std::iter::once(report.contender.clone()).chain(shown.iter().map(cell)));
    }
    let busy = if finished.machine_busy() {
        let late = finished.latest_start_ms();
        let real = late * finished.scale / 1e3;
        format!("\nThe machine was busy: a request left {late:.0} ms late, {real:.1} s of the real system.")
    } else {
        String::new()
    };
    let missed: String = finished.missed.iter().map(|bar| format!("\nMissed: {bar}")).collect();
    format!(
        "{}: {}\n{} requests each, seed {}, time scale {}\n\n{table}{LEGEND}{missed}{busy}\n",
        finished.scenario, finished.about, finished.requests, finished.seed, finished.scale
    )
}

fn percent(served: Served) -> Option<String> {
    // Rounded down: 100.00 is all of them, and nothing less.
    served.share().map(|share| format!("{:.2}%", (share * 1e4).floor() / 1e2))
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0}ms", seconds * 1e3) } else { format!("{seconds:.1}s") }
}

fn unless_zero(n: u64) -> Option<String> {
    (n > 0).then(|| n.to_string())
}

fn failures(report: &Report) -> String {
    let kinds = report.failures.iter().map(|(kind, n)| format!("{kind}: {n}"));
    kinds.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use xtask::chaos_rig::report::{Outage, Quantiles};

    use super::*;

    fn finished() -> Finished {
        let report = Report {
            contender: "nginx-expert".into(),
            reads: Served { requests: 10_000, served: 9_999, attempts: 10_500 },
            writes: Served::default(),
            keyed_writes: Served::default(),
            wrong_bodies: 0,
            garbled_requests: 0,
            duplicates: 2,
            lost_writes: 0,
            latency: Quantiles { p50: 0.21, p95: 1.0, p99: 21.96 },
            early: 0,
            failures: BTreeMap::from([("503".into(), 1)]),
            outage: None,
            latest_start_ms: 3.0,
        };
        Finished {
            scenario: "x",
            about: "y",
            scale: 10.0,
            seed: 1,
            requests: 10_000,
            reports: vec![report],
            missed: vec!["z".into()],
        }
    }

    #[test]
    fn only_columns_with_figures_are_shown() {
        let text = of(&finished());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[3], ["reads", "ok", "wrong", "p50", "p95", "p99", "load", "dup", "failures"]);
        assert_eq!(
            lines[5],
            ["nginx-expert", "99.99%", "0", "210ms", "1.0s", "22.0s", "1.050", "2", "503:", "1"]
        );
        assert!(!text.contains("busy"), "{text}");
    }

    #[test]
    fn a_hundred_percent_is_never_rounded_up_to() {
        assert_eq!(percent(Served { requests: 100_000, served: 99_999, attempts: 0 }).unwrap(), "99.99%");
        assert_eq!(percent(Served { requests: 3, served: 3, attempts: 3 }).unwrap(), "100.00%");
    }

    #[test]
    fn an_outage_and_a_busy_machine_show() {
        let mut finished = finished();
        finished.reports[0].outage = Some(Outage { load: 4.96, failure_p99: 0.07, recovered_after: 1.5 });
        finished.reports[0].latest_start_ms = 120.0;
        let text = of(&finished);
        assert!(text.contains("4.960") && text.contains("70ms") && text.contains("1.5s"), "{text}");
        assert!(text.contains("120 ms late, 1.2 s"), "{text}");
    }
}
