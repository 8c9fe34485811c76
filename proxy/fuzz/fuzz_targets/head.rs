//! Fuzzes what `bodies/head.rs` describes.

#![no_main]

#[path = "../bodies/head.rs"]
mod head;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| head::check(bytes));
