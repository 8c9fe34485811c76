//! Fuzzes what `bodies/proxy_config.rs` describes.

#![no_main]

#[path = "../bodies/proxy_config.rs"]
mod proxy_config;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proxy_config::check(bytes));
