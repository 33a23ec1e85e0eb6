//! MQTT: sessions, subscriptions, retained messages, and a publish to a topic.
//!
//! All of it is in the virtual host `/`, so that whoever sees that one sees this. What is in a retained
//! message is for those who may read its topic.

pub mod publish;
pub mod retained;
pub mod sessions;
pub mod subscriptions;

use std::sync::Arc;

use super::call::Call;
use super::error::Refusal;
use crate::server::DEFAULT_VHOST;

/// The virtual host of MQTT.
///
/// # Errors
/// If the caller does not see it.
pub fn vhost(call: &Call) -> Result<Arc<str>, Refusal> {
    call.caller.check_sees(DEFAULT_VHOST)?;
    Ok(DEFAULT_VHOST.into())
}
