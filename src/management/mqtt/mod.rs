//! MQTT: sessions, subscriptions, retained messages, and a publish to a topic.
//!
//! All of it is of one virtual host: that of the parameter `vhost`, or that of MQTT clients which name
//! none. Whoever sees that one sees this; what is in a retained message is for those who may read its
//! topic.

pub mod publish;
pub mod retained;
pub mod sessions;
pub mod subscriptions;

use std::sync::Arc;

use super::call::Call;
use super::error::Refusal;

/// The virtual host that a request is about.
///
/// # Errors
/// If it is not there, or the caller does not see it.
pub fn vhost(call: &Call) -> Result<Arc<str>, Refusal> {
    let name = call.parameter("vhost").unwrap_or(&call.node().config.mqtt_vhost);
    if !call.node().topology().has_vhost(name) {
        return Err(Refusal::no_such_object());
    }
    call.caller.check_sees(name)?;
    Ok(name.into())
}
