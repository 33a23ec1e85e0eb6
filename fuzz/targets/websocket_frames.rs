//! `tests/hostile/targets/websocket_frames.rs`, with octets that a fuzzer makes.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leveret_fuzz::targets::websocket_frames::run(octets));
