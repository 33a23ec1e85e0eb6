//! Copies for the firehose, in the form in which clients of RabbitMQ know them: the body is that of
//! the message, and everything else about it stands in headers.

use std::sync::Arc;

use leveret_amqp::{ArrayBuilder, Properties, PropertiesBuilder, TableBuilder, Value};
use leveret_core::{Body, Draft, Encoding, Facts, Message};

use super::death::copies;
use super::deliver::{HEADER_OVERHEAD_BYTES, converted_properties};
use crate::server::clock;
use crate::server::firehose::{EXCHANGE, Party, Tap};
use crate::server::host::node_name;

/// The copy of a message, with its routing key and the queues that it was published to. If its
/// headers would not fit into one frame, those of the message are left out, and so is the end of a
/// list that takes more than a quarter of one.
pub fn of(
    tap: Tap<'_>,
    party: &Party,
    (key, queues): (String, Vec<Arc<str>>),
    frame_max: u32,
) -> Message {
    let message = tap.message();
    let converted = converted_properties(message, frame_max);
    let encoded = converted.as_deref().unwrap_or(message.properties());
    let whole = Properties::from_encoded(encoded);
    let list_max = frame_max as usize / 4;
    let about = about(tap, party, &list(queues.iter().map(|name| &**name), list_max));
    let copies = copies(whole.headers());
    let keys = std::iter::once(message.routing_key()).chain(copies.iter().map(String::as_str));
    let keys = list(keys, list_max);
    let mut properties = encode(message, (whole, true), &keys, &about);
    if properties.len() + HEADER_OVERHEAD_BYTES > frame_max as usize {
        properties = encode(message, (whole, false), &keys, &about);
    }
    Message::new(Draft {
        exchange: EXCHANGE,
        routing_key: &key,
        encoding: Encoding::Amqp,
        properties: &properties,
        body: match message.large_body() {
            Some(body) => Body::Owned(body.clone()),
            None => Body::Borrowed(message.body()),
        },
        facts: Facts { timestamp_ms: clock::now_ms(), ..Facts::default() },
    })
}

fn encode(
    message: &Message,
    (properties, with_headers): (Properties<'_>, bool),
    keys: &ArrayBuilder,
    about: &TableBuilder,
) -> Vec<u8> {
    let mut shown = shown(properties);
    if let Some(headers) = properties.headers().filter(|_| with_headers) {
        shown.insert("headers", headers);
    }
    let mut headers = TableBuilder::new();
    headers.insert("exchange_name", message.exchange());
    headers.insert("routing_keys", keys.as_array());
    headers.insert("properties", shown.as_table());
    headers.extend(about.as_table().iter());
    let headers = Some(headers.as_table());
    PropertiesBuilder { headers, ..PropertiesBuilder::default() }.encode()
}

/// A list of texts, as far as they fit.
fn list<'a>(texts: impl Iterator<Item = &'a str>, bytes_max: usize) -> ArrayBuilder {
    let mut list = ArrayBuilder::new();
    let mut left = bytes_max;
    for text in texts {
        match left.checked_sub(LENGTH_BYTES + text.len()) {
            Some(rest) => left = rest,
            None => break,
        }
        list.push(text);
    }
    list
}

/// What is known beside the message itself.
fn about(tap: Tap<'_>, party: &Party, queues: &ArrayBuilder) -> TableBuilder {
    let mut about = TableBuilder::new();
    about.insert("node", node_name());
    about.insert("vhost", &*party.vhost);
    about.insert("connection", party.connection.as_str());
    about.insert("channel", i32::from(party.channel));
    about.insert("user", &*party.user);
    match tap {
        Tap::Publish(..) => {
            about.insert("routed_queues", queues.as_array());
        }
        Tap::Deliver(delivery) => {
            about.insert("redelivered", i32::from(delivery.redelivered));
        }
    }
    about
}

/// The properties but for the headers; those that the message has not are left out.
fn shown(properties: Properties<'_>) -> TableBuilder {
    let mut table = TableBuilder::new();
    let texts = [
        ("content_type", properties.content_type()),
        ("content_encoding", properties.content_encoding()),
        ("correlation_id", properties.correlation_id()),
        ("reply_to", properties.reply_to()),
        ("expiration", properties.expiration()),
        ("message_id", properties.message_id()),
        ("type", properties.kind()),
        ("user_id", properties.user_id()),
        ("app_id", properties.app_id()),
        ("cluster_id", properties.cluster_id()),
    ];
    for (name, text) in texts {
        table.extend(text.map(|text| (name, Value::from(text))));
    }
    let octets =
        [("delivery_mode", properties.delivery_mode()), ("priority", properties.priority())];
    for (name, octet) in octets {
        table.extend(octet.map(|octet| (name, Value::from(i32::from(octet)))));
    }
    table.extend(properties.timestamp().map(|at_s| ("timestamp", Value::Timestamp(at_s))));
    table
}

/// What a text has in front of it: its type and its length.
const LENGTH_BYTES: usize = 5;
