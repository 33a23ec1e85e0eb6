//! What `tests/hostile` does with octets, for targets that give it a fuzzer's.

#[path = "../tests/hostile/targets/mod.rs"]
pub mod targets;
