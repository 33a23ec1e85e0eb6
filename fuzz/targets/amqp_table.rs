//! `tests/hostile/targets/amqp_table.rs`, with octets that a fuzzer makes.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leveret_fuzz::targets::amqp_table::run(octets));
