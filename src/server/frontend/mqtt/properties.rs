//! Properties of messages that cross from one protocol to the other.
//!
//! | AMQP | MQTT 5 |
//! |---|---|
//! | `content-type` | Content Type |
//! | `correlation-id` | Correlation Data (from MQTT only if it is text of at most 255 bytes) |
//! | `reply-to`, a routing key of `amq.topic` | Response Topic |
//! | `headers` of text, integer and boolean type | User Properties |
//! | `expiration`, in milliseconds | Message Expiry Interval, in seconds |
//! | `delivery-mode` 2 | QoS 1 and 2 |

use leveret_amqp::{self as amqp, TableBuilder};
use leveret_core::{Facts, Headers, Value, key_to_topic, topic_to_key};
use leveret_mqtt::{PropertiesBuilder, Property};

use super::delayed::is_delayed;
use super::topic::{is_reserved, is_topic};

/// The header with which an AMQP client has a message retained.
pub const RETAIN_HEADER: &str = "x-mqtt-retain";

/// Longest AMQP short string, in bytes.
const SHORT_STRING_MAX: usize = 255;

/// The properties of an AMQP message for an MQTT 5 client. The expiry is not among them: it is
/// computed when the message is sent.
pub(super) fn from_amqp(properties: &[u8]) -> Vec<u8> {
    let properties = amqp::Properties::from_encoded(properties);
    let mut builder = PropertiesBuilder::new();
    if let Some(content_type) = properties.content_type() {
        builder = builder.content_type(content_type);
    }
    if let Some(reply_to) = properties.reply_to().filter(|to| is_topic(to)) {
        builder = builder.response_topic(&key_to_topic(reply_to));
    }
    if let Some(id) = properties.correlation_id() {
        builder = builder.correlation_data(id.as_bytes());
    }
    let headers = properties.headers().into_iter().flatten();
    for (name, value) in headers.filter(|(name, _)| *name != RETAIN_HEADER) {
        let text = match (value.as_str(), value.as_i64(), value.as_bool()) {
            (Some(text), _, _) => text.to_owned(),
            (_, Some(number), _) => number.to_string(),
            (_, _, Some(flag)) => flag.to_string(),
            _ => continue,
        };
        builder = builder.user(name, &text);
    }
    builder.build()
}

/// The properties of an MQTT message for an AMQP client. User properties that make it more than
/// `bytes_max` are left out: a content header has to fit into one frame.
pub fn to_amqp(properties: &[u8], facts: &Facts, now_ms: u64, bytes_max: usize) -> Vec<u8> {
    let mut headers = TableBuilder::new();
    let mut has_headers = false;
    let mut reply_to = None;
    let expiration = facts.expires_at_ms.map(|at| at.saturating_sub(now_ms).to_string());
    let mut out = amqp::PropertiesBuilder {
        delivery_mode: facts.persistent.then_some(2),
        expiration: expiration.as_deref(),
        ..amqp::PropertiesBuilder::default()
    };
    for property in leveret_mqtt::Properties::stored(properties).iter() {
        match property {
            Property::ContentType(text) => out.content_type = Some(text),
            Property::ResponseTopic(topic) if topic.len() <= SHORT_STRING_MAX => {
                reply_to = Some(topic_to_key(topic));
            }
            Property::CorrelationData(data) if data.len() <= SHORT_STRING_MAX => {
                out.correlation_id = std::str::from_utf8(data).ok();
            }
            Property::User(name, value) => {
                headers.insert(name, value);
                has_headers = true;
            }
            _ => {}
        }
    }
    out.reply_to = reply_to.as_deref();
    out.headers = has_headers.then(|| headers.as_table());
    let encoded = out.encode();
    if encoded.len() <= bytes_max {
        return encoded;
    }
    out.headers = None;
    out.encode()
}

/// What an exchange may ask of MQTT properties: user properties are headers.
pub struct UserProperties<'a>(pub leveret_mqtt::Properties<'a>);

impl Headers for UserProperties<'_> {
    fn header(&self, name: &str) -> Option<Value> {
        self.0.iter().find_map(|property| match property {
            Property::User(known, value) if known == name => Some(Value::from(value)),
            _ => None,
        })
    }

    fn property(&self, property: leveret_core::Property) -> Option<Value> {
        let is_asked = property == leveret_core::Property::CorrelationId;
        self.0.iter().filter(|_| is_asked).find_map(|property| match property {
            Property::CorrelationData(data) => Some(Value::LongString(data.to_vec())),
            _ => None,
        })
    }
}

/// Whether a client may have a message with this routing key retained.
pub fn may_be_retained(key: &str) -> bool {
    let topic = key_to_topic(key);
    is_topic(key) && !is_reserved(&topic) && !is_delayed(&topic)
}
