//! Replays what fuzzing has found, and an input for each thing worth knowing, without a fuzzer.

#[path = "bodies/config.rs"]
mod config;
#[path = "bodies/facts.rs"]
mod facts;
#[path = "bodies/feed.rs"]
mod feed;
#[path = "bodies/histogram.rs"]
mod histogram;
#[path = "bodies/record.rs"]
mod record;
#[path = "../../agent-ebpf/fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn configurations_give_settings_or_errors_with_a_place() {
    replay("config", config::check);
}

#[test]
fn answers_of_the_admin_socket_give_facts_or_errors() {
    replay("facts", facts::check);
}

#[test]
fn lines_of_the_feed_give_snapshots_or_errors() {
    replay("feed", feed::check);
}

#[test]
fn histograms_are_refused_or_within_their_bounds() {
    replay("histogram", histogram::check);
}

#[test]
fn records_are_refused_or_stay_within_the_bounds_of_routes_and_series() {
    replay("record", record::check);
}
