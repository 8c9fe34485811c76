//! What the headless demo prints: everybody's books, and what hosp was worth and cost.

use std::fmt::Write as _;
use std::time::Duration;

use hosp_feed::{Focus, Latency, Leg, Series, Tally, tally};
use xtask::load::LatencyReport;
use xtask::stack::PROXY;
use xtask::table::Table;

use super::Options;
use super::books::Book;
use super::evidence::{Evidence, per};

/// The whole report.
pub(super) fn render(options: &Options, evidence: &Evidence, books: &[Book]) -> String {
    let mut text = String::new();
    let scale = options.time_scale();
    let _ = writeln!(
        text,
        "\nhosp demo: {:.0} s at {} requests/s, seed {}; the origin takes {} to {} per answer and fails by itself\n",
        evidence.load.seconds,
        options.rate,
        options.seed,
        time(Duration::from_secs_f64(2.0 * scale)),
        time(Duration::from_secs_f64(20.0 * scale)),
    );
    let _ = writeln!(text, "{}\n{}\n{}", accounts(books), worth(evidence), latencies(evidence));
    let _ = writeln!(text, "{}", cost(evidence));
    let disagreeing: Vec<&Book> = books.iter().filter(|book| !book.agrees()).collect();
    if disagreeing.is_empty() {
        let _ = writeln!(text, "All books agree.");
    }
    for book in disagreeing {
        let said: Vec<String> = book.entries.iter().map(|(who, n)| format!("{who} {n}")).collect();
        let _ = writeln!(text, "THE BOOKS DISAGREE on {}: {}", book.title, said.join("; "));
        for detail in &book.details {
            let _ = writeln!(text, "    {detail}");
        }
    }
    text
}

fn accounts(books: &[Book]) -> Table {
    let mut table = Table::new(["counted by", "number", ""]);
    for book in books {
        table.row([
            book.title.to_owned(),
            String::new(),
            if book.agrees() { "agree" } else { "DIFFER" }.to_owned(),
        ]);
        for (who, n) in &book.entries {
            table.row([format!("  {who}"), n.to_string()]);
        }
    }
    table
}

fn worth(evidence: &Evidence) -> Table {
    let scoped = |leg| -> Vec<Series> {
        let series = evidence.agent.series.iter();
        series.filter(|series| evidence.scope.covers(series, leg, PROXY)).cloned().collect()
    };
    let focus = Focus::Service(PROXY.to_owned());
    let of = |leg| tally(&scoped(leg), &focus, leg);
    let (server, client) = (of(Leg::Server), of(Leg::Client));
    let reads: Vec<Series> =
        scoped(Leg::Server).into_iter().filter(|series| series.key.method == "GET").collect();
    let reads = tally(&reads, &focus, Leg::Server);
    let success = |tally: Tally| tally.success().map_or_else(|| "-".to_owned(), percent);
    let load = &evidence.load;
    let sent_by_clients = load.sent + load.outcome("unsent");

    let mut table = Table::new(["what clients got, and what the origin did", ""]);
    table.row(["effective success (server leg)".to_owned(), success(server)]);
    table.row([
        "  as demo-load saw it".to_owned(),
        ratio(load.succeeded, sent_by_clients).map_or("-".to_owned(), percent),
    ]);
    table.row(["  of reads (GET), which may be retried".to_owned(), success(reads)]);
    table.row(["actual success (client leg)".to_owned(), success(client)]);
    table.row([
        "attempts per request".to_owned(),
        ratio(client.ended, server.ended).map_or("-".to_owned(), |r| format!("{r:.3}")),
    ]);
    for (result, n) in &evidence.proxy.cache {
        table.row([format!("cache: {result}"), n.to_string()]);
    }
    for (reason, n) in &evidence.proxy.retries {
        table.row([format!("retries: {reason}"), n.to_string()]);
    }
    for (reason, n) in &evidence.proxy.retries_denied {
        table.row([format!("retries denied: {reason}"), n.to_string()]);
    }
    table
}

fn latencies(evidence: &Evidence) -> Table {
    let LatencyReport { p50_us, p99_us, max_us, .. } = evidence.load.latency;
    let row = |who: &str, all: [u64; 3]| {
        let times = all.map(|us| time(Duration::from_micros(us)));
        [who.to_owned()].into_iter().chain(times).collect::<Vec<_>>()
    };
    let leg = |latency: &Latency| [0.5, 0.99, 1.0].map(|q| latency.quantile(q));
    let mut table = Table::new(["latency", "p50", "p99", "longest"]);
    table.row(row("demo-load (from the scheduled time)", [p50_us, p99_us, max_us]));
    table.row(row("hosp-agent, server leg", leg(&evidence.feed.server.latency)));
    table.row(row("hosp-agent, client leg", leg(&evidence.feed.client.latency)));
    table
}

fn cost(evidence: &Evidence) -> Table {
    let cost = &evidence.agent.cost;
    let (runs, seconds) = cost
        .programs
        .iter()
        .fold((0, 0.0), |(runs, seconds), program| (runs + program.runs, seconds + program.seconds));
    let recorded = evidence.agent.books.recorded;
    let or_dash = |value: Option<Duration>| value.map_or_else(|| "-".to_owned(), time);
    let mut table = Table::new(["what it cost", ""]);
    table.row(["hosp-agent, CPU".to_owned(), format!("{:.2} s", cost.agent_cpu_seconds)]);
    table.row(["hosp-agent, CPU per request seen".to_owned(), or_dash(evidence.agent_cpu_per_request())]);
    table.row(["hosp-agent, memory".to_owned(), mebibytes(cost.agent_rss_bytes)]);
    table.row(["BPF programs, time per run".to_owned(), or_dash(per(seconds, runs))]);
    table.row(["BPF programs, time per request seen".to_owned(), or_dash(per(seconds, recorded))]);
    table.row(["hosp-proxy, CPU per request".to_owned(), or_dash(evidence.proxy_cpu_per_request())]);
    table.row(["hosp-proxy, memory".to_owned(), mebibytes(evidence.proxy_usage.memory)]);
    table
}

fn ratio(a: u64, b: u64) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A duration with three significant digits.
fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_fitting_unit() {
        let cases = [
            (0, "0.00 ns"),
            (812, "812 ns"),
            (1_234, "1.23 µs"),
            (20_450_000, "20.4 ms"),
            (2_000_000_000, "2.00 s"),
        ];
        for (nanos, expect) in cases {
            assert_eq!(time(Duration::from_nanos(nanos)), expect);
        }
    }

    #[test]
    fn a_high_success_is_not_rounded_up_to_all() {
        assert_eq!(percent(0.99998), "99.998 %");
    }
}
