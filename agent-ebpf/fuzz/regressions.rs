//! Replays what fuzzing has found, and a few scripts for each thing worth knowing, without a fuzzer.

#[path = "bodies/http1.rs"]
mod http1;
#[path = "replay.rs"]
mod replay;

use replay::replay;

#[test]
fn http1_scripts_keep_what_must_hold() {
    replay("http1", http1::check);
}
