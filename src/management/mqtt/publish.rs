//! `POST /mqtt/publish`: a message to a topic.

use std::sync::Arc;

use leveret_core::{Body, Draft, Encoding, Facts, Message, topic_to_key};
use leveret_mqtt::{Properties, PropertiesBuilder};
use serde_json::{Map, Value, json};

use super::vhost;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::fields::Fields;
use crate::management::publish::{payload, send};
use crate::management::reply::Reply;
use crate::server::clock;
use crate::server::frontend::mqtt::{TOPIC_EXCHANGE, UserProperties, may_be_retained};
use crate::server::limits::Limit;

/// Publishes in the caller's name, and says whether any queue or session got it.
pub fn publish(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    let fields = call.fields()?;
    fields.require(&["topic", "payload"])?;
    let key = topic_to_key(fields.text("topic")?.unwrap_or_default());
    if key.len() > TOPIC_BYTES_MAX || !may_be_retained(&key) {
        return Err(Refusal::bad_request("topic is none that clients may publish to"));
    }
    let actor = call.caller.actor(&vhost);
    call.node().topology().check_publish_by(actor, TOPIC_EXCHANGE, &[&*key])?;
    let body = payload(&fields)?;
    let max = call.node().config.message_size_max.0;
    if body.len() as u64 > max {
        call.node().refusals.note(Limit::MessageSize);
        return Err(Refusal::bad_request(format!("a message has at most {max} bytes")));
    }
    let given = properties(&fields)?;
    let encoded = encode(&given)?;
    let message = Arc::new(Message::new(Draft {
        exchange: TOPIC_EXCHANGE,
        routing_key: &key,
        encoding: if encoded.is_empty() { Encoding::None } else { Encoding::Mqtt },
        properties: &encoded,
        body: Body::Owned(body),
        facts: facts(&fields, &given, clock::now_ms())?,
    }));
    let headers = UserProperties(Properties::stored(&encoded));
    let sent = send(call, &vhost, &message, &headers)?;
    Ok(Reply::json(&json!({ "routed": sent.is_routed })).after(sent.promise))
}

fn facts(fields: &Fields, given: &Map<String, Value>, now_ms: u64) -> Result<Facts, Refusal> {
    let qos = match fields.count("qos")?.unwrap_or_default() {
        qos @ 0..=2 => qos as u8,
        _ => return Err(Refusal::bad_request("qos must be 0, 1 or 2")),
    };
    Ok(Facts {
        persistent: qos > 0,
        retain: fields.boolean("retain")?,
        qos,
        priority: 0,
        timestamp_ms: now_ms,
        expires_at_ms: expiry(given)?.map(|seconds| now_ms + u64::from(seconds) * 1000),
    })
}

fn properties(fields: &Fields) -> Result<Map<String, Value>, Refusal> {
    match fields.get("properties") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(given)) => Ok(given.clone()),
        Some(_) => Err(Refusal::bad_request("properties must be an object")),
    }
}

fn expiry(given: &Map<String, Value>) -> Result<Option<u32>, Refusal> {
    let Some(value) = given.get("message_expiry_interval") else { return Ok(None) };
    let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    let wrong = || Refusal::bad_request("message_expiry_interval must be a number of seconds");
    seconds.map(Some).ok_or_else(wrong)
}

fn encode(given: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    let mut builder = PropertiesBuilder::new();
    if given.get("payload_format_indicator").is_some_and(|value| *value == json!(1)) {
        builder = builder.payload_is_text();
    }
    // The queues have it with the facts; where it is sent it is put right.
    if let Some(seconds) = expiry(given)? {
        builder = builder.message_expiry(seconds);
    }
    if let Some(text) = text(given, "content_type")? {
        builder = builder.content_type(text);
    }
    if let Some(text) = text(given, "response_topic")? {
        builder = builder.response_topic(text);
    }
    if let Some(text) = text(given, "correlation_data")? {
        builder = builder.correlation_data(text.as_bytes());
    }
    match given.get("user_properties") {
        None | Some(Value::Null) => {}
        Some(Value::Object(pairs)) => {
            for name in pairs.keys() {
                builder = builder.user(name, text(pairs, name)?.unwrap_or_default());
            }
        }
        Some(_) => return Err(Refusal::bad_request("user_properties must be an object")),
    }
    Ok(builder.build())
}

fn text<'a>(given: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= TOPIC_BYTES_MAX => Ok(Some(text)),
        Some(_) => {
            let reason = format!("{name} must be a string of at most {TOPIC_BYTES_MAX} bytes");
            Err(Refusal::bad_request(reason))
        }
    }
}

/// The longest string of MQTT.
const TOPIC_BYTES_MAX: usize = 65_535;
