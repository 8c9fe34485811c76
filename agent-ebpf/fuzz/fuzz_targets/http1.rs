//! Fuzzes the HTTP/1 state machine; see `bodies/http1.rs`.

#![no_main]

#[path = "../bodies/http1.rs"]
mod http1;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1::check(bytes));
