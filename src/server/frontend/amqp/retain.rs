//! AMQP messages that are retained for MQTT clients.

use leveret_amqp::{Publish, Value};

use super::refusal::Refusal;
use crate::server::frontend::mqtt::{self, RETAIN_HEADER};

/// Whether the message replaces the retained message of its topic.
///
/// # Errors
/// 406, if the header is there and the message cannot be retained.
pub(super) fn is_wanted(publish: &Publish<'_>) -> Result<bool, Refusal> {
    if publish.exchange() != mqtt::TOPIC_EXCHANGE {
        return Ok(false);
    }
    let headers = publish.properties().headers();
    match headers.and_then(|headers| headers.find(RETAIN_HEADER)) {
        None | Some(Value::Bool(false)) => return Ok(false),
        Some(Value::Bool(true)) => {}
        Some(_) => return Err(refused("is no boolean")),
    }
    if publish.is_transactional {
        return Err(refused("has no place in a transaction"));
    }
    if !mqtt::may_be_retained(publish.routing_key()) {
        return Err(refused("needs a routing key that clients may publish to as a topic of MQTT"));
    }
    Ok(true)
}

fn refused(flaw: &str) -> Refusal {
    Refusal::precondition(format!("invalid message: {RETAIN_HEADER} {flaw}"))
}
