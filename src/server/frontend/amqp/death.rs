//! Dead letters as AMQP clients see them: the header `x-death` and its relatives, in RabbitMQ's form.

use leveret_amqp::{
    Array, ArrayBuilder, Properties, PropertiesBuilder, Table, TableBuilder, Value,
};
use leveret_core::{Body, DeathReason, Draft, Encoding, Facts, Message};

use super::deliver::converted_properties;
use crate::server::clock;

/// Where and why a message died, and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Grave<'a> {
    /// The queue that it was in.
    pub queue: &'a str,
    /// Why.
    pub reason: DeathReason,
    /// When, in seconds since the Unix epoch.
    pub now_s: u64,
    /// The exchange that gets it.
    pub exchange: &'a str,
    /// The routing key, if the message's own are replaced.
    pub key: Option<&'a str>,
}

/// A message as it is published again.
#[derive(Debug)]
pub struct Buried {
    /// The message.
    pub message: Message,
    /// Its routing keys; one at least.
    pub keys: Vec<String>,
    /// Queues that it has died in without a consumer's doing since: there it does not go again.
    pub cycle: Vec<String>,
}

/// One entry of `x-death`.
struct Death {
    queue: String,
    reason: String,
    count: i64,
    time_s: u64,
    exchange: String,
    keys: Vec<String>,
    original_expiration: Option<String>,
}

/// Makes a dead letter of a message.
pub fn bury(message: &Message, grave: &Grave<'_>) -> Buried {
    let converted = converted_properties(message, u32::MAX);
    let properties = Properties::from_encoded(converted.as_deref().unwrap_or(message.properties()));
    let headers = properties.headers();
    let mut deaths = deaths(headers);
    note_death(&mut deaths, message, properties, grave);
    let mut keys = vec![grave.key.unwrap_or(message.routing_key()).to_owned()];
    if grave.key.is_none() {
        keys.extend(copies(headers));
    }
    let table = written(headers, &deaths, grave);
    let properties = PropertiesBuilder {
        headers: Some(table.as_table()),
        expiration: None,
        ..properties.into()
    };
    let facts = message.facts();
    let buried = Message::new(Draft {
        exchange: grave.exchange,
        routing_key: &keys[0],
        encoding: Encoding::Amqp,
        properties: &properties.encode(),
        body: message
            .large_body()
            .map_or(Body::Borrowed(message.body()), |large| Body::Owned(large.clone())),
        facts: Facts { timestamp_ms: clock::now_ms(), expires_at_ms: None, retain: false, ..facts },
    });
    Buried { message: buried, keys, cycle: cycle(&deaths) }
}

/// Adds the death at the front, or counts it there if it has happened before.
fn note_death(
    deaths: &mut Vec<Death>,
    message: &Message,
    properties: Properties<'_>,
    grave: &Grave<'_>,
) {
    let reason = grave.reason.name();
    let is_it = |death: &Death| death.queue == grave.queue && death.reason == reason;
    let death = match deaths.iter().position(is_it) {
        Some(at) => {
            let before = deaths.remove(at);
            Death { count: before.count.saturating_add(1), ..before }
        }
        None => {
            let own = message.routing_key().to_owned();
            Death {
                queue: grave.queue.to_owned(),
                reason: reason.to_owned(),
                count: 1,
                time_s: grave.now_s,
                exchange: message.exchange().to_owned(),
                keys: std::iter::once(own).chain(copies(properties.headers())).collect(),
                original_expiration: properties.expiration().map(str::to_owned),
            }
        }
    };
    deaths.insert(0, death);
}

/// From each queue on that a message has died in: is there nothing newer that a consumer did?
fn cycle(deaths: &[Death]) -> Vec<String> {
    let rejected = DeathReason::Rejected.name();
    let automatic = deaths.iter().take_while(|death| death.reason != rejected);
    automatic.map(|death| death.queue.clone()).collect()
}

/// The routing keys in the header CC.
pub(super) fn copies(headers: Option<Table<'_>>) -> Vec<String> {
    let copies = headers.and_then(|headers| headers.find("CC"));
    texts(copies)
}

fn texts(value: Option<Value<'_>>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(|item| text(Some(item))).collect(),
        _ => Vec::new(),
    }
}

fn text(value: Option<Value<'_>>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

/// The deaths so far, the newest first. What is not of this form is left out.
fn deaths(headers: Option<Table<'_>>) -> Vec<Death> {
    let list: Option<Array<'_>> = headers.and_then(|headers| match headers.find("x-death") {
        Some(Value::Array(list)) => Some(list),
        _ => None,
    });
    let tables = list.iter().flat_map(Array::iter).filter_map(|item| match item {
        Value::Table(table) => Some(table),
        _ => None,
    });
    let death = |table: Table<'_>| {
        Some(Death {
            queue: text(table.find("queue"))?,
            reason: text(table.find("reason"))?,
            count: table.find("count")?.as_i64()?,
            time_s: match table.find("time") {
                Some(Value::Timestamp(seconds)) => seconds,
                _ => 0,
            },
            exchange: text(table.find("exchange")).unwrap_or_default(),
            keys: texts(table.find("routing-keys")),
            original_expiration: text(table.find("original-expiration")),
        })
    };
    tables.filter_map(death).take(DEATHS_MAX).collect()
}

fn written(headers: Option<Table<'_>>, deaths: &[Death], grave: &Grave<'_>) -> TableBuilder {
    let mut table = TableBuilder::new();
    for (name, value) in headers.iter().flat_map(|headers| headers.iter()) {
        let is_copy = matches!(name, "CC" | "BCC") && grave.key.is_some();
        if !is_copy && name != "x-death" && !name.starts_with("x-last-death-") {
            table.insert(name, value);
        }
    }
    let mut list = ArrayBuilder::new();
    for death in deaths {
        list.push(Value::Table(death.written().as_table()));
    }
    table.insert("x-death", Value::Array(list.as_array()));
    let Some(newest) = deaths.first() else { return table };
    let is_first = headers.is_none_or(|headers| headers.find("x-first-death-reason").is_none());
    for prefix in ["x-first-death", "x-last-death"] {
        if prefix == "x-last-death" || is_first {
            table.insert(&format!("{prefix}-reason"), &*newest.reason);
            table.insert(&format!("{prefix}-queue"), &*newest.queue);
            table.insert(&format!("{prefix}-exchange"), &*newest.exchange);
        }
    }
    table
}

impl Death {
    fn written(&self) -> TableBuilder {
        let mut keys = ArrayBuilder::new();
        self.keys.iter().for_each(|key| _ = keys.push(key.as_str()));
        let mut table = TableBuilder::new();
        table.insert("count", self.count);
        table.insert("reason", self.reason.as_str());
        table.insert("queue", self.queue.as_str());
        table.insert("time", Value::Timestamp(self.time_s));
        table.insert("exchange", self.exchange.as_str());
        table.insert("routing-keys", Value::Array(keys.as_array()));
        if let Some(expiration) = &self.original_expiration {
            table.insert("original-expiration", expiration.as_str());
        }
        table
    }
}

/// Entries of `x-death` that are kept: a list from a client may be of any length.
const DEATHS_MAX: usize = 256;
