//! The report of `--once` as a table for people: plain text, no colours, no control characters.

use std::fmt::Write as _;

use super::report::{IntervalReport, LegReport, Report};
use crate::clean::Label;

/// One quantile of an interval, in seconds.
type Quantile = fn(&IntervalReport) -> Option<f64>;

/// The table, newline at its end.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    for agent in &report.agents {
        let host = agent.host.as_deref().map_or_else(|| "unreachable".to_owned(), clean);
        line(&mut out, "agent", &format!("{} ({host})", clean(&agent.address)));
    }
    line(&mut out, "service", &report.service.as_deref().map_or_else(|| "all services".to_owned(), clean));
    out.push('\n');
    let legs = &report.legs;
    row(&mut out, "", "server leg", "client leg");
    let mut both = |name: &str, value: &dyn Fn(&LegReport) -> String| {
        row(&mut out, name, &value(&legs.server), &value(&legs.client));
    };
    both("requests", &|leg| leg.requests.to_string());
    both("succeeded", &|leg| leg.succeeded.to_string());
    both("failed", &|leg| leg.counted.saturating_sub(leg.succeeded).to_string());
    both("client went away", &|leg| leg.requests.saturating_sub(leg.counted).to_string());
    both("success", &|leg| leg.success.map_or_else(dash, percent));
    let statuses: std::collections::BTreeSet<&String> =
        legs.server.statuses.keys().chain(legs.client.statuses.keys()).collect();
    for status in statuses {
        let name = if status == "0" { "no status".to_owned() } else { format!("status {status}") };
        both(&name, &|leg| leg.statuses.get(status).map_or_else(dash, u64::to_string));
    }
    both("last interval", &|leg| leg.interval.requests.to_string());
    let quantiles: [(&str, Quantile); 4] = [
        ("  p50", |i| i.p50_seconds),
        ("  p90", |i| i.p90_seconds),
        ("  p99", |i| i.p99_seconds),
        ("  p99.9", |i| i.p999_seconds),
    ];
    for (name, value) in quantiles {
        both(name, &|leg| value(&leg.interval).map_or_else(dash, |s| format!("{:.3} ms", s * 1000.0)));
    }
    out.push('\n');
    let attempts = report.attempts_per_request.map_or_else(dash, |ratio| format!("{ratio:.4}"));
    line(&mut out, "attempts/request", &attempts);
    if let Some([none, rest @ .., more]) = report.requests_by_attempts {
        let exactly = rest.iter().zip(1..).map(|(requests, attempts)| format!("{attempts}: {requests}"));
        let all = [format!("0: {none}")].into_iter().chain(exactly).chain([format!("more: {more}")]);
        line(&mut out, "  by request", &all.collect::<Vec<_>>().join("  "));
    }
    books(&mut out, report);
    out
}

fn books(out: &mut String, report: &Report) {
    let books = &report.books;
    let verdict = if books.balanced { "balanced" } else { "NOT BALANCED" };
    line(
        out,
        "books",
        &format!(
            "seen {} = recorded {} + lost {} + open {} ({verdict})",
            books.seen, books.recorded, books.lost_total, books.open
        ),
    );
    line(out, "resyncs", &books.resyncs.to_string());
    let kinds: Vec<String> =
        books.connections.iter().map(|(kind, n)| format!("{} {n}", clean(kind))).collect();
    line(out, "connections", &if kinds.is_empty() { dash() } else { kinds.join(", ") });
}

fn clean(text: &str) -> String {
    Label::clean(text).to_string()
}

fn dash() -> String {
    "-".to_owned()
}

/// Rounded down to 4 decimals: a single failure is never shown as 100 %.
fn percent(share: f64) -> String {
    if share >= 1.0 {
        "100 %".to_owned()
    } else {
        format!("{:.4} %", (share * 1e6 + 1e-4).floor().min(999_999.0) / 1e4)
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    writeln!(out, "{name:<18}{value}").expect("a String takes everything");
}

fn row(out: &mut String, name: &str, server: &str, client: &str) {
    writeln!(out, "{name:<18}{server:>14}{client:>14}").expect("a String takes everything");
}
