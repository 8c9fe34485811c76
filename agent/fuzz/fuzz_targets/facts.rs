//! Fuzzes what `bodies/facts.rs` describes.

#![no_main]

#[path = "../bodies/facts.rs"]
mod facts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| facts::check(bytes));
