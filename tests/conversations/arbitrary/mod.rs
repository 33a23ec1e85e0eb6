//! Conversations out of arbitrary octets, against a broker in this process: shared by a test that
//! makes the octets from seeds, and by a fuzzer.

mod broker;
mod chance;
mod channel;
mod client;
mod frames;
mod ledger;
mod requests;
mod step;
mod vandal;
mod wire;
mod world;

pub use step::script;
pub use world::World;
