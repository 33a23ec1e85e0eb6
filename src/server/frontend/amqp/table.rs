//! Field tables, between the wire and the core.

use leveret_amqp::{Properties, Table as WireTable, Value as WireValue};
use leveret_core::{IntWidth, Table, Value};

/// A table of the wire for the core.
pub fn from_table(table: WireTable<'_>) -> Table {
    table.iter().map(|(name, value)| (name, to_value(value))).collect()
}

/// A value of the wire for the core.
pub fn to_value(value: WireValue<'_>) -> Value {
    match value {
        WireValue::Bool(value) => Value::Bool(value),
        WireValue::I8(value) => Value::Int(value.into(), IntWidth::W8),
        WireValue::U8(value) => Value::Unsigned(value.into(), IntWidth::W8),
        WireValue::I16(value) => Value::Int(value.into(), IntWidth::W16),
        WireValue::U16(value) => Value::Unsigned(value.into(), IntWidth::W16),
        WireValue::I32(value) => Value::Int(value.into(), IntWidth::W32),
        WireValue::U32(value) => Value::Unsigned(value, IntWidth::W32),
        WireValue::I64(value) => Value::Int(value, IntWidth::W64),
        WireValue::F32(value) => Value::Float(value),
        WireValue::F64(value) => Value::Double(value),
        WireValue::Decimal { scale, value } => Value::Decimal { scale, value },
        WireValue::LongStr(octets) => Value::LongString(octets.to_vec()),
        WireValue::Bytes(octets) => Value::ByteArray(octets.to_vec()),
        WireValue::Timestamp(seconds) => Value::Timestamp(seconds),
        WireValue::Array(array) => Value::Array(array.iter().map(to_value).collect()),
        WireValue::Table(table) => Value::Table(from_table(table)),
        WireValue::Void => Value::Void,
    }
}

/// The headers of a message, looked up when an exchange routes by them.
pub fn headers_of(properties: Properties<'_>) -> impl Fn(&str) -> Option<Value> {
    move |name| properties.headers()?.find(name).map(to_value)
}
