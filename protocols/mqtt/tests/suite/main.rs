//! Conversations with a connection, byte by byte, through the public API.

#![allow(
    clippy::disallowed_methods,
    reason = "the time at which a conversation starts does not matter"
)]
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod alias;
mod auth;
mod connect;
mod differential;
mod limits;
mod malformed;
mod model;
mod outbound;
mod publish;
mod reason;
mod robustness;
mod session;
mod subscribe;
mod support;
mod timeout;
mod v31;
