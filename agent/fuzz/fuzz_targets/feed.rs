//! Fuzzes what `bodies/feed.rs` describes.

#![no_main]

#[path = "../bodies/feed.rs"]
mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feed::check(bytes));
