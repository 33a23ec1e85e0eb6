//! `POST /exchanges/:vhost/:exchange/publish`: one message, answered when it is safe.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use leveret_amqp::Properties;
use leveret_core::{
    Body, Draft, Encoding, Facts, Headers, Message, Position, Right, TopologyError,
    TopologyErrorKind,
};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::properties;
use super::queues::no_such_vhost;
use super::reply::Reply;
use crate::server::clock;
use crate::server::counts::{Dialect, Fate};
use crate::server::firehose::Tap;
use crate::server::frontend::amqp::PropertyHeaders;
use crate::server::limits::Limit;
use crate::server::publisher::Publisher;

/// Publishes a message and says whether any queue got it.
pub fn publish(call: &Call) -> Answer {
    let vhost = call.vhost().map_err(no_such_vhost)?;
    let exchange = call.exchange_part("exchange");
    if call.node().topology().exchange(&vhost, exchange).is_err() {
        return Err(Refusal::not_found("exchange_not_found"));
    }
    let fields = call.fields()?;
    fields.require(&["properties", "routing_key", "payload", "payload_encoding"])?;
    let properties = given_properties(&fields)?;
    let routing_key = fields.text("routing_key")?.unwrap_or_default();
    let body = payload(&fields)?;
    call.check_exchange(Right::Write, &vhost, exchange)?;
    let sent = send_content(call, &vhost, Content { exchange, routing_key, properties, body })?;
    Ok(Reply::json(&json!({ "routed": sent.is_routed })).after(sent.promise))
}

/// What is to become a message.
pub struct Content<'a> {
    /// The exchange; empty for the default one.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a str,
    /// The properties, under AMQP's names.
    pub properties: Map<String, Value>,
    /// The body.
    pub body: Bytes,
}

/// Makes a message and publishes it in the caller's name.
///
/// # Errors
/// If it cannot be a message, and as [`send`].
pub fn send_content(call: &Call, vhost: &Arc<str>, content: Content<'_>) -> Result<Sent, Refusal> {
    let encoded = properties::from_json(&content.properties)?;
    check_user(call, Properties::from_encoded(&encoded))?;
    let message = message(call, content, &encoded)?;
    send(call, vhost, &message, &PropertyHeaders(Properties::from_encoded(&encoded)))
}

/// A message that was published.
pub struct Sent {
    /// Whether any queue got it.
    pub is_routed: bool,
    /// What has to be durable before the publisher is told.
    pub promise: Option<Position>,
}

/// Publishes a message in the caller's name.
///
/// # Errors
/// If there is no such exchange, the user may not publish to the topic, a queue has no room, or a
/// resource is short.
pub fn send(
    call: &Call,
    vhost: &Arc<str>,
    message: &Arc<Message>,
    headers: &dyn Headers,
) -> Result<Sent, Refusal> {
    if let Some(reason) = call.node().alarms.reason() {
        return Err(Refusal::unavailable(reason));
    }
    let mut publisher = Publisher::new(None);
    if !call.caller.is_operator() {
        publisher = publisher.on_behalf_of(call.caller.identity());
    }
    let to = (message.exchange(), message.routing_key());
    let way = publisher.route(call.node(), vhost, to, headers).map_err(refused)?;
    let routed = publisher.routed(way);
    let (is_routed, copies) = (!routed.is_empty(), routed.copies);
    let mut promise = None;
    if message.facts().retain {
        let retained = call.node().retain(vhost, message);
        promise = retained.map_err(|error| Refusal::bad_request(error.to_string()))?;
    }
    call.tap(vhost, Tap::Publish(message, routed));
    publisher.add(call.node(), message.clone(), way, (None, None));
    let promise = promise.max(publisher.flush(call.node()));
    let is_refused = !publisher.refused().is_empty();
    call.node().connections.count_for(Dialect::Http, |counts| {
        counts.note_publish(message.body().len(), true);
        counts.confirmed += u64::from(!is_refused);
        counts.note_fate(if copies > 0 { Fate::Routed(copies) } else { Fate::Returned });
    });
    match is_refused {
        false => Ok(Sent { is_routed, promise }),
        true => Err(Refusal::bad_request(NO_ROOM)),
    }
}

fn message(call: &Call, content: Content<'_>, encoded: &[u8]) -> Result<Arc<Message>, Refusal> {
    let Content { exchange, routing_key, body, .. } = content;
    if routing_key.len() > KEY_BYTES_MAX {
        return Err(Refusal::bad_request("a routing key has at most 255 bytes"));
    }
    let max = call.node().config.message_size_max.0;
    if body.len() as u64 > max {
        let size = body.len();
        call.node().refusals.note(Limit::MessageSize);
        return Err(precondition_failed(&format!(
            "message size {size} is larger than configured max size {max}"
        )));
    }
    Ok(Arc::new(Message::new(Draft {
        exchange,
        routing_key,
        encoding: Encoding::Amqp,
        properties: encoded,
        facts: facts(Properties::from_encoded(encoded), clock::now_ms())?,
        body: Body::Owned(body),
    })))
}

fn given_properties(fields: &Fields) -> Result<Map<String, Value>, Refusal> {
    match fields.get("properties") {
        Some(Value::Object(given)) => Ok(given.clone()),
        // This is how RabbitMQ shows that there are none.
        Some(Value::Array(items)) if items.is_empty() => Ok(Map::new()),
        _ => Err(Refusal::bad_request("properties must be an object")),
    }
}

/// Nobody publishes in another user's name.
fn check_user(call: &Call, properties: Properties<'_>) -> Result<(), Refusal> {
    let caller = &call.caller.name;
    match properties.user_id().filter(|user| user != caller) {
        None => Ok(()),
        Some(user) => Err(precondition_failed(&format!(
            "user_id property set to '{user}' but authenticated user was '{caller}'"
        ))),
    }
}

fn facts(properties: Properties<'_>, now_ms: u64) -> Result<Facts, Refusal> {
    let persistent = properties.is_persistent();
    let expires_at_ms = match properties.expiration() {
        None => None,
        Some(text) => {
            let invalid = |_| precondition_failed(&format!("invalid expiration '{text}'"));
            let after_ms = text.parse::<u32>().map_err(invalid)?;
            Some(now_ms.saturating_add(after_ms.into()))
        }
    };
    Ok(Facts {
        persistent,
        retain: false,
        qos: u8::from(persistent),
        priority: properties.priority().unwrap_or(0),
        timestamp_ms: now_ms,
        expires_at_ms,
    })
}

/// The body that a request names.
///
/// # Errors
/// If it is not what its encoding says; without one it is a text.
pub fn payload(fields: &Fields) -> Result<Bytes, Refusal> {
    let Some(Value::String(payload)) = fields.get("payload") else {
        return Err(Refusal::bad_request("payload_not_string"));
    };
    match fields.text("payload_encoding")? {
        None | Some("string") => Ok(Bytes::copy_from_slice(payload.as_bytes())),
        Some("base64") => match STANDARD.decode(payload) {
            Ok(bytes) => Ok(bytes.into()),
            Err(_) => Err(Refusal::bad_request("payload is not base64")),
        },
        _ => Err(Refusal::bad_request("unsupported payload_encoding")),
    }
}

fn refused(error: TopologyError) -> Refusal {
    match error.kind() {
        TopologyErrorKind::NotFound => Refusal::not_found("exchange_not_found"),
        TopologyErrorKind::AccessRefused => {
            Refusal::bad_request(format!("403 ACCESS_REFUSED - {error}"))
        }
        _ => error.into(),
    }
}

fn precondition_failed(text: &str) -> Refusal {
    Refusal::bad_request(format!("406 PRECONDITION_FAILED - {text}"))
}

const NO_ROOM: &str = "rejected Unable to publish message. Check queue limits.";
/// The longest routing key that AMQP can say.
const KEY_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn payload_of(body: Value) -> Result<Bytes, Refusal> {
        payload(&Fields::parse(body.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_payload_is_a_text_or_base64() {
        let text = payload_of(json!({"payload": "AA==", "payload_encoding": "string"}));
        assert_eq!(text.unwrap(), "AA==");
        let bytes = payload_of(json!({"payload": "AP8=", "payload_encoding": "base64"}));
        assert_eq!(bytes.unwrap(), &[0, 255][..]);
        for wrong in [
            json!({"payload": 1, "payload_encoding": "string"}),
            json!({"payload": "!", "payload_encoding": "base64"}),
            json!({"payload": "", "payload_encoding": "rot13"}),
        ] {
            assert!(payload_of(wrong).is_err());
        }
    }

    #[test]
    fn what_queues_act_on_is_taken_from_the_properties() {
        let facts_of = |given: Value| {
            let encoded = properties::from_json(given.as_object().unwrap()).unwrap();
            facts(Properties::from_encoded(&encoded), 1_000)
        };
        let given = json!({"delivery_mode": 2, "priority": 3, "expiration": "500"});
        let expected = Facts {
            persistent: true,
            qos: 1,
            priority: 3,
            timestamp_ms: 1_000,
            expires_at_ms: Some(1_500),
            ..Facts::default()
        };
        assert_eq!(facts_of(given), Ok(expected));
        let transient = facts_of(json!({"delivery_mode": 1})).unwrap();
        assert!(!transient.persistent && transient.qos == 0);
        assert!(facts_of(json!({"expiration": "soon"})).is_err());
        assert!(facts_of(json!({"expiration": "-1"})).is_err());
    }
}
