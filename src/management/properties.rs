//! Message properties as JSON, under AMQP's names with underscores, and back.
//!
//! A message that came over MQTT is shown as an AMQP client would get it.

use leveret_amqp::{
    ArrayBuilder, Properties, PropertiesBuilder, Table, TableBuilder, TableLimits, Value as Field,
};
use leveret_core::{Encoding, Message};
use serde_json::{Map, Value, json};

use super::error::Refusal;
use crate::server::frontend::mqtt::to_amqp;

/// The properties of a message; those that it has not are left out.
pub fn to_json(message: &Message, now_ms: u64) -> Value {
    let facts = message.facts();
    match message.encoding() {
        Encoding::None if facts.persistent => json!({ "delivery_mode": 2 }),
        Encoding::None => json!({}),
        Encoding::Amqp => describe(Properties::from_encoded(message.properties())),
        Encoding::Mqtt => {
            let encoded = to_amqp(message.properties(), &facts, now_ms, usize::MAX);
            describe(Properties::from_encoded(&encoded))
        }
    }
}

/// The encoding of properties in JSON; names that AMQP does not have are ignored.
///
/// # Errors
/// If a value is not of its property's type, or too long for it.
pub fn from_json(properties: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    let from = Source(properties);
    let headers = match properties.get("headers") {
        None | Some(Value::Null) => None,
        Some(Value::Object(headers)) => Some(table_from_json(headers)?),
        Some(Value::Array(items)) if items.is_empty() => None,
        Some(_) => return Err(wrong("headers", "an object")),
    };
    let builder = PropertiesBuilder {
        content_type: from.text("content_type")?,
        content_encoding: from.text("content_encoding")?,
        headers: headers.as_ref().map(TableBuilder::as_table),
        delivery_mode: from.octet("delivery_mode")?,
        priority: from.octet("priority")?,
        correlation_id: from.text("correlation_id")?,
        reply_to: from.text("reply_to")?,
        expiration: from.text("expiration")?,
        message_id: from.text("message_id")?,
        timestamp: from.number("timestamp")?,
        kind: from.text("type")?,
        user_id: from.text("user_id")?,
        app_id: from.text("app_id")?,
        cluster_id: from.text("cluster_id")?,
    };
    let encoded = builder.encode();
    match Properties::parse(&encoded, TableLimits::default()) {
        Ok(_) => Ok(encoded),
        Err(error) => Err(Refusal::bad_request(format!("invalid properties: {error}"))),
    }
}

fn describe(properties: Properties<'_>) -> Value {
    let mut object = Map::new();
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
        object.extend(text.map(|text| (name.to_owned(), json!(text))));
    }
    let numbers = [
        ("delivery_mode", properties.delivery_mode().map(u64::from)),
        ("priority", properties.priority().map(u64::from)),
        ("timestamp", properties.timestamp()),
    ];
    for (name, number) in numbers {
        object.extend(number.map(|number| (name.to_owned(), json!(number))));
    }
    let headers = properties.headers();
    object.extend(headers.map(|headers| ("headers".to_owned(), table_to_json(headers))));
    Value::Object(object)
}

/// The depth of what is stored was limited when it came.
fn table_to_json(table: Table<'_>) -> Value {
    let mut object = Map::new();
    for (name, field) in table {
        object.entry(name).or_insert_with(|| field_to_json(field));
    }
    Value::Object(object)
}

fn field_to_json(field: Field<'_>) -> Value {
    match field {
        Field::Void => Value::Null,
        Field::Bool(value) => json!(value),
        Field::F32(value) => json!(value),
        Field::F64(value) => json!(value),
        Field::Decimal { scale, value } => {
            json!(f64::from(value) / 10f64.powi(i32::from(scale)))
        }
        Field::Timestamp(seconds) => json!(seconds),
        Field::LongStr(octets) | Field::Bytes(octets) => {
            Value::String(String::from_utf8_lossy(octets).into_owned())
        }
        Field::Array(array) => array.iter().map(field_to_json).collect(),
        Field::Table(table) => table_to_json(table),
        integer => json!(integer.as_i64()),
    }
}

fn table_from_json(object: &Map<String, Value>) -> Result<TableBuilder, Refusal> {
    let mut table = TableBuilder::new();
    for (name, value) in object {
        if name.len() > SHORT_STRING_MAX {
            return Err(Refusal::bad_request("the name of a header has at most 255 bytes"));
        }
        with_field(value, |field| {
            table.insert(name, field);
        })?;
    }
    Ok(table)
}

/// Calls `put` with what a JSON value is in a field table. The reader of JSON has limited its depth.
fn with_field(value: &Value, put: impl FnOnce(Field<'_>)) -> Result<(), Refusal> {
    match value {
        Value::Null => put(Field::Void),
        Value::Bool(value) => put(Field::Bool(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => put(Field::I64(integer)),
            None => put(Field::F64(number.as_f64().unwrap_or_default())),
        },
        Value::String(text) => put(Field::LongStr(text.as_bytes())),
        Value::Object(object) => put(Field::Table(table_from_json(object)?.as_table())),
        Value::Array(items) => {
            let mut array = ArrayBuilder::new();
            for item in items {
                push(item, &mut array)?;
            }
            put(Field::Array(array.as_array()));
        }
    }
    Ok(())
}

fn push(item: &Value, array: &mut ArrayBuilder) -> Result<(), Refusal> {
    with_field(item, |field| {
        array.push(field);
    })
}

struct Source<'a>(&'a Map<String, Value>);

impl<'a> Source<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() <= SHORT_STRING_MAX => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string of at most 255 bytes")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(name, "a whole number")),
        }
    }

    fn octet(&self, name: &str) -> Result<Option<u8>, Refusal> {
        let number = self.number(name)?.map(u8::try_from).transpose();
        number.map_err(|_| wrong(name, "a number of at most 255"))
    }
}

fn wrong(name: &str, expected: &str) -> Refusal {
    Refusal::bad_request(format!("property {name} must be {expected}"))
}

/// The longest AMQP short string, in bytes.
const SHORT_STRING_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_core::{Body, Draft, Facts};

    fn encoded(json: Value) -> Result<Vec<u8>, Refusal> {
        let Value::Object(object) = json else { panic!("an object") };
        from_json(&object)
    }

    fn message(encoding: Encoding, properties: &[u8], facts: Facts) -> Message {
        let body = Body::Borrowed(b"");
        Message::new(Draft { exchange: "", routing_key: "", encoding, properties, body, facts })
    }

    fn shown(properties: &[u8]) -> Value {
        to_json(&message(Encoding::Amqp, properties, Facts::default()), 0)
    }

    #[test]
    fn all_properties_come_back_as_they_were_given() {
        let all = json!({
            "content_type": "text/plain", "content_encoding": "gzip", "delivery_mode": 2,
            "priority": 7, "correlation_id": "c", "reply_to": "r", "expiration": "60000",
            "message_id": "m", "timestamp": 1_700_000_000, "type": "t", "user_id": "guest",
            "app_id": "a", "cluster_id": "x",
            "headers": {
                "n": null, "b": true, "i": -7, "d": 1.5, "s": "é",
                "a": [1, ["x"], {"k": []}], "t": {"k": {"l": 1}},
            },
        });
        assert_eq!(shown(&encoded(all.clone()).unwrap()), all);
        assert_eq!(shown(&encoded(json!({})).unwrap()), json!({}));
    }

    #[test]
    fn unknown_names_are_ignored_and_wrong_types_are_refused() {
        assert_eq!(encoded(json!({"foo": 1, "headers": []})), encoded(json!({})));
        for wrong in [
            json!({"content_type": 1}),
            json!({"delivery_mode": "2"}),
            json!({"priority": 256}),
            json!({"timestamp": -1}),
            json!({"headers": "x"}),
            json!({"message_id": "x".repeat(256)}),
            json!({"headers": {"x".repeat(256): 1}}),
        ] {
            assert!(encoded(wrong).is_err());
        }
        assert!(encoded(json!({"message_id": "x".repeat(255)})).is_ok());
    }

    #[test]
    fn headers_nest_as_deep_as_amqp_clients_may() {
        let nested = |depth| (1..depth).fold(json!({}), |inner, _| json!({ "x": inner }));
        assert!(encoded(json!({ "headers": nested(32) })).is_ok());
        assert!(encoded(json!({ "headers": nested(33) })).is_err());
    }

    #[test]
    fn a_message_from_mqtt_is_shown_as_amqp_clients_get_it() {
        let properties = leveret_mqtt::PropertiesBuilder::new()
            .content_type("text/plain")
            .response_topic("a/b")
            .correlation_data(b"c")
            .user("k", "v")
            .build();
        let facts = Facts { persistent: true, expires_at_ms: Some(1_500), ..Facts::default() };
        let shown = to_json(&message(Encoding::Mqtt, &properties, facts), 1_000);
        let expected = json!({
            "content_type": "text/plain", "reply_to": "a.b", "correlation_id": "c",
            "headers": {"k": "v"}, "delivery_mode": 2, "expiration": "500",
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_message_without_properties_may_still_be_persistent() {
        let shown = |persistent| {
            let facts = Facts { persistent, ..Facts::default() };
            to_json(&message(Encoding::None, &[], facts), 0)
        };
        assert_eq!(shown(true), json!({"delivery_mode": 2}));
        assert_eq!(shown(false), json!({}));
    }
}
