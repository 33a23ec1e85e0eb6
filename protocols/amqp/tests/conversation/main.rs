//! Whole conversations with the state machine: what goes in, which events and octets come out.

#![allow(
    clippy::disallowed_methods,
    reason = "the time at which a conversation starts does not matter"
)]
#![allow(clippy::unwrap_used, reason = "what only tests call is a test")]

mod channels;
mod client;
mod confirms;
mod delivery;
mod differential;
mod errors;
mod handshake;
mod publish;
mod split;
mod timers;
mod transactions;
