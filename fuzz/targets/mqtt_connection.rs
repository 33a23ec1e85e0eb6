//! `tests/hostile/targets/mqtt_connection.rs`, with octets that a fuzzer makes.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leveret_fuzz::targets::mqtt_connection::run(octets));
