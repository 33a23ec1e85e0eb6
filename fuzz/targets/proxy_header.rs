//! `tests/hostile/targets/proxy_header.rs`, with octets that a fuzzer makes.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leveret_fuzz::targets::proxy_header::run(octets));
