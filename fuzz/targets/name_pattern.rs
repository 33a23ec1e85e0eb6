//! `tests/hostile/targets/name_pattern.rs`, with octets that a fuzzer makes.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leveret_fuzz::targets::name_pattern::run(octets));
