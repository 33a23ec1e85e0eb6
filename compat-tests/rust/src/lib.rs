//! rumqttc, the MQTT client of Rust programs: its clients for MQTT 3.1.1 and for MQTT 5.
//!
//! `peer` is what a test says to a client, `v311` and `v5` turn it into the two interfaces of
//! rumqttc, `broker` is the process that they talk to. Each test has a broker of its own.
#![cfg(test)]

mod broker;
mod peer;
mod tests;
mod v311;
mod v5;
