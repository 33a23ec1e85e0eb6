//! Events as messages: what they are about stands in the headers, and the body is empty.

use leveret_amqp::PropertiesBuilder;
use leveret_core::{Body, Draft, Encoding, Facts, Message, Table, Value};

use super::deliver::HEADER_OVERHEAD_BYTES;
use super::table::to_table;
use crate::server::events::{EXCHANGE, Event};

/// The message that says what has happened. If its headers would not fit into one frame, those that
/// may be large are left out.
pub fn message(event: &Event, frame_max: u32) -> Message {
    let mut properties = encode(event, &event.about);
    if properties.len() + HEADER_OVERHEAD_BYTES > frame_max as usize {
        let small = event.about.iter().filter(|(_, value)| is_small(value));
        let small: Table = small.map(|(name, value)| (name, value.clone())).collect();
        properties = encode(event, &small);
    }
    Message::new(Draft {
        exchange: EXCHANGE,
        routing_key: event.key,
        encoding: Encoding::Amqp,
        properties: &properties,
        body: Body::Borrowed(&[]),
        facts: Facts { persistent: true, qos: 1, timestamp_ms: event.at_ms, ..Facts::default() },
    })
}

fn encode(event: &Event, about: &Table) -> Vec<u8> {
    let mut headers = to_table(about);
    headers.insert("timestamp_in_ms", event.at_ms as i64);
    let properties = PropertiesBuilder {
        headers: Some(headers.as_table()),
        delivery_mode: Some(2),
        timestamp: Some(event.at_ms / 1000),
        ..PropertiesBuilder::default()
    };
    properties.encode()
}

fn is_small(value: &Value) -> bool {
    match value {
        Value::LongString(text) => text.len() <= TEXT_BYTES_MAX,
        value => !matches!(value, Value::Array(_) | Value::Table(_) | Value::ByteArray(_)),
    }
}

/// The longest name that AMQP can say.
const TEXT_BYTES_MAX: usize = 255;
