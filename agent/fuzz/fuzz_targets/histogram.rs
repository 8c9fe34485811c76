//! Fuzzes what `bodies/histogram.rs` describes.

#![no_main]

#[path = "../bodies/histogram.rs"]
mod histogram;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| histogram::check(bytes));
