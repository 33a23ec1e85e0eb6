//! MQTT conversations out of arbitrary octets, against a broker in this process: shared by a test that
//! makes the octets from seeds, and by a fuzzer.

#[path = "../../conversations/arbitrary/broker.rs"]
mod broker;
#[path = "../../conversations/arbitrary/chance.rs"]
mod chance;
mod client;
mod packets;
mod world;

pub use world::World;
