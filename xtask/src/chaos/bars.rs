//! What hosp-proxy has to reach: the scenario's own bars, never to be behind a peer, and to lead where it can.

use std::cmp::Ordering;

use xtask::chaos_rig::report::Report;
use xtask::chaos_rig::scenario::{Ask, Bar, Scenario};

use super::contenders::Kind;

/// Most attempts per request while everything fails.
const OUTAGE_LOAD: f64 = 1.2;
/// Longest time in which 99 % of the failures are told while everything fails, in seconds.
const OUTAGE_FAILS_IN: f64 = 0.1;
/// Within which time all is well again, in seconds.
const OUTAGE_BACK: f64 = 2.0;

/// A peer that serves this share cannot be asked to be surpassed.
const AS_GOOD_AS_ALL: f64 = 0.9999;

/// The bars that hosp-proxy missed in `scenario`, in words.
pub(super) fn missed(scenario: &Scenario, reports: &[Report]) -> Vec<String> {
    let variants = Kind::all(scenario).into_iter().filter_map(|kind| match kind {
        Kind::Hosp(variant) => Some((kind.to_string(), variant)),
        _ => None,
    });
    let mut missed = Vec::new();
    for (name, variant) in variants {
        let Some(own) = reports.iter().find(|report| report.contender == name) else { continue };
        let bar = scenario.bars.iter().find(|bar| bar.variant == variant);
        let words = never(own).into_iter().chain(bar.into_iter().flat_map(|bar| own_bar(bar, own)));
        let words = words.chain(outage(own)).chain(behind(own, reports));
        missed.extend(words.map(|words| format!("{name}: {words}")));
    }
    missed
}

/// What must not happen at all.
fn never(own: &Report) -> Vec<String> {
    let counts = [
        (own.wrong_bodies, "wrong bodies"),
        (own.duplicates, "duplicated writes"),
        (own.lost_writes, "writes that were told and not done"),
        (own.garbled_requests, "requests that arrived mangled"),
    ];
    counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect()
}

fn own_bar(bar: &Bar, own: &Report) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(share) = own.reads.share().filter(|share| *share < bar.reads) {
        words.push(format!("{:.3} % of the reads served, not {:.3} %", share * 100.0, bar.reads * 100.0));
    }
    words.extend(above("attempts per request", own.all().load(), bar.load));
    words.extend(bar.p99.and_then(|p99| above("s as 99th percentile", Some(own.latency.p99), p99)));
    words
}

fn outage(own: &Report) -> Vec<String> {
    let Some(outage) = own.outage else { return Vec::new() };
    let bars = [
        ("attempts per request while all failed", outage.load, OUTAGE_LOAD),
        ("s until failures were told", outage.failure_p99, OUTAGE_FAILS_IN),
        ("s from the outage's end to the last failure", outage.recovered_after, OUTAGE_BACK),
    ];
    bars.into_iter().filter_map(|(what, is, most)| above(what, Some(is), most)).collect()
}

fn above(what: &str, is: Option<f64>, most: f64) -> Option<String> {
    is.filter(|is| *is > most).map(|is| format!("{is:.3} {what}, not {most}"))
}

/// The kinds of request of which a peer served more than hosp-proxy did, or as many, where something was left to gain:
/// a write without a key cannot be repeated, and in an outage there is nothing to be had. Duplicates cannot be behind,
/// because none are allowed.
fn behind(own: &Report, reports: &[Report]) -> Vec<String> {
    let peers = || reports.iter().filter(|report| !report.contender.starts_with("hosp-proxy"));
    let kinds = [(Ask::Read, "reads"), (Ask::Write, "writes"), (Ask::KeyedWrite, "keyed writes")];
    let words = kinds.into_iter().filter_map(|(ask, what)| {
        let best = peers().max_by_key(|peer| peer.of(ask).served)?;
        let (served, most) = (own.of(ask).served, best.of(ask).served);
        let to_gain = ask != Ask::Write
            && own.outage.is_none()
            && best.of(ask).share().is_some_and(|share| share < AS_GOOD_AS_ALL);
        match served.cmp(&most) {
            Ordering::Less => Some(format!("{served} {what} served, {} served {most}", best.contender)),
            Ordering::Equal if to_gain => {
                Some(format!("{served} {what} served, no more than {}", best.contender))
            }
            _ => None,
        }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use xtask::chaos_rig::catalogue::find;
    use xtask::chaos_rig::report::{Outage, Quantiles, Served};

    use super::*;

    fn report(contender: &str, served: u64) -> Report {
        Report {
            contender: contender.into(),
            reads: Served { requests: 10_000, served, attempts: 10_500 },
            writes: Served::default(),
            keyed_writes: Served::default(),
            wrong_bodies: 0,
            garbled_requests: 0,
            duplicates: 0,
            lost_writes: 0,
            latency: Quantiles { p50: 0.2, p95: 0.3, p99: 0.4 },
            early: 0,
            failures: BTreeMap::new(),
            outage: None,
            latest_start_ms: 1.0,
        }
    }

    fn check(scenario: &str, reports: &[Report], expect: &[&str]) {
        let missed = missed(find(scenario).unwrap(), reports);
        assert_eq!(missed.len(), expect.len(), "{missed:?}");
        for (words, part) in missed.iter().zip(expect) {
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn whoever_reaches_the_bar_and_leads_has_missed_nothing() {
        check("hung", &[report("hosp-proxy", 10_000), report("haproxy", 10_000)], &[]);
        check("hung", &[report("haproxy", 0)], &[]);
    }

    #[test]
    fn each_bar_is_told_with_its_figure() {
        let mut own = report("hosp-proxy", 9_998);
        own.reads.attempts = 12_000;
        own.latency.p99 = 22.0;
        own.duplicates = 3;
        check("hung", &[own], &["3 duplicated", "99.980 %", "1.200 attempts", "22.000 s as 99th"]);
    }

    #[test]
    fn being_behind_a_peer_is_told_and_being_behind_a_variant_is_not() {
        let reports = [
            report("hosp-proxy", 9_950),
            report("hosp-proxy/budget-70", 10_000),
            report("varnish", 9_970),
            report("nginx-naive", 9_900),
        ];
        check("errors-30", &reports, &["9950 reads served, varnish served 9970"]);
    }

    #[test]
    fn being_level_with_a_peer_counts_as_missed_where_something_is_left_to_gain() {
        check("resets", &[report("hosp-proxy", 9_970), report("varnish", 9_970)], &["no more than varnish"]);
        check("resets", &[report("hosp-proxy", 9_999), report("varnish", 9_999)], &[]);
    }

    #[test]
    fn an_outage_has_bars_of_its_own() {
        let mut own = report("hosp-proxy", 8_000);
        own.outage = Some(Outage { load: 4.9, failure_p99: 0.05, recovered_after: 2.5 });
        check("outage", &[own], &["4.900 attempts per request while", "2.500 s from the outage"]);
    }
}
