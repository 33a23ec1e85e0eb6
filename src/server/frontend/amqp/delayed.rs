//! Messages that an exchange has kept for a while, as their receivers get them.

use leveret_amqp::{Properties, PropertiesBuilder, TableBuilder, Value};
use leveret_core::{Body, Delayed, Draft, Encoding, Facts, Message};

use super::death::copies;
use super::deliver::converted_properties;
use super::publish::expiration;
use super::{PropertyHeaders, clock};

/// A message whose delay is over, and the routing keys that it has beside its own. The delay is
/// negated, so that the exchange does not keep it again; its time to live begins now. `None` if it has no
/// delay.
pub fn released(message: &Message) -> Option<(Message, Vec<String>)> {
    let without_delay = Facts { expires_at_ms: None, ..message.facts() };
    let message = message.clone().with_facts(without_delay);
    let converted = converted_properties(&message, u32::MAX);
    let properties = Properties::from_encoded(converted.as_deref().unwrap_or(message.properties()));
    let delay_ms = Delayed::of(&PropertyHeaders(properties))?;
    let now_ms = clock::now_ms();
    let time_to_live = properties.expiration().and_then(|text| expiration(text).ok());
    let facts = Facts {
        timestamp_ms: now_ms,
        expires_at_ms: time_to_live.map(|ms| now_ms + ms),
        ..message.facts()
    };
    let encoded = negated(properties, delay_ms);
    let released = Message::new(Draft {
        exchange: message.exchange(),
        routing_key: message.routing_key(),
        encoding: Encoding::Amqp,
        properties: &encoded,
        body: message
            .large_body()
            .map_or(Body::Borrowed(message.body()), |large| Body::Owned(large.clone())),
        facts,
    });
    Some((released, copies(properties.headers())))
}

fn negated(properties: Properties<'_>, delay_ms: u64) -> Vec<u8> {
    let mut headers = TableBuilder::new();
    for (name, value) in properties.headers().iter().flat_map(|headers| headers.iter()) {
        if name != Delayed::HEADER {
            headers.insert(name, value);
        }
    }
    let delay_ms = delay_ms as i64;
    let short = i32::try_from(-delay_ms).map(Value::I32);
    headers.insert(Delayed::HEADER, short.unwrap_or(Value::I64(-delay_ms)));
    PropertiesBuilder { headers: Some(headers.as_table()), ..properties.into() }.encode()
}
