//! Replays what fuzzing has found, and an input for each thing worth knowing, without a fuzzer.

#[path = "bodies/answer.rs"]
mod answer;
#[path = "bodies/head.rs"]
mod head;
#[path = "bodies/proxy_config.rs"]
mod proxy_config;
#[path = "../../agent-ebpf/fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn answers_are_judged_without_panic_and_never_given_to_others() {
    replay("answer", answer::check);
}

#[test]
fn heads_are_passed_on_with_this_hop_and_without_what_was_for_it_alone() {
    replay("head", head::check);
}

#[test]
fn configurations_are_within_their_bounds_or_errors_with_a_place() {
    replay("proxy_config", proxy_config::check);
}
