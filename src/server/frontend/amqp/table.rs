//! Field tables, between the wire and the core.

use leveret_amqp::{
    ArrayBuilder, Properties, Table as WireTable, TableBuilder, Value as WireValue,
};
use leveret_core::{Headers, IntWidth, Property, Table, Value};

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

/// A table of the core for the wire.
pub fn to_table(table: &Table) -> TableBuilder {
    let mut built = TableBuilder::new();
    for (name, value) in table.iter() {
        with_wire(value, &mut |value| _ = built.insert(name, value));
    }
    built
}

/// Lends a value of the core, as it is on the wire.
fn with_wire(value: &Value, take: &mut dyn FnMut(WireValue<'_>)) {
    take(match value {
        Value::Void => WireValue::Void,
        Value::Bool(value) => WireValue::Bool(*value),
        Value::Int(value, IntWidth::W8) => WireValue::I8(*value as i8),
        Value::Int(value, IntWidth::W16) => WireValue::I16(*value as i16),
        Value::Int(value, IntWidth::W32) => WireValue::I32(*value as i32),
        Value::Int(value, IntWidth::W64) => WireValue::I64(*value),
        Value::Unsigned(value, IntWidth::W8) => WireValue::U8(*value as u8),
        Value::Unsigned(value, IntWidth::W16) => WireValue::U16(*value as u16),
        Value::Unsigned(value, IntWidth::W32 | IntWidth::W64) => WireValue::U32(*value),
        Value::Float(value) => WireValue::F32(*value),
        Value::Double(value) => WireValue::F64(*value),
        Value::Decimal { scale, value } => WireValue::Decimal { scale: *scale, value: *value },
        Value::LongString(octets) => WireValue::LongStr(octets),
        Value::ByteArray(octets) => WireValue::Bytes(octets),
        Value::Timestamp(seconds) => WireValue::Timestamp(*seconds),
        Value::Array(items) => {
            let mut array = ArrayBuilder::new();
            items.iter().for_each(|item| with_wire(item, &mut |item| _ = array.push(item)));
            return take(WireValue::Array(array.as_array()));
        }
        Value::Table(table) => return take(WireValue::Table(to_table(table).as_table())),
    });
}

/// What an exchange may ask of AMQP properties; they are decoded when it does.
pub struct PropertyHeaders<'a>(pub Properties<'a>);

impl Headers for PropertyHeaders<'_> {
    fn header(&self, name: &str) -> Option<Value> {
        self.0.headers()?.find(name).map(to_value)
    }

    fn property(&self, property: Property) -> Option<Value> {
        match property {
            Property::CorrelationId => self.0.correlation_id().map(Value::from),
            Property::MessageId => self.0.message_id().map(Value::from),
            Property::Timestamp => self.0.timestamp().map(Value::Timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_core_comes_back_from_the_wire() {
        let mut values = vec![
            Value::Void,
            Value::Bool(true),
            Value::Float(1.5),
            Value::Double(-2.5),
            Value::Decimal { scale: 2, value: 314 },
            Value::from("text"),
            Value::ByteArray(vec![0, 255]),
            Value::Timestamp(1_700_000_000),
        ];
        for width in [IntWidth::W8, IntWidth::W16, IntWidth::W32] {
            values.extend([Value::Int(-7, width), Value::Unsigned(200, width)]);
        }
        values.push(Value::from(i64::MIN));
        let nested: Table = [("list", Value::Array(values.clone()))].into_iter().collect();
        values.push(Value::Table(nested));
        let table: Table = [("all", Value::Array(values))].into_iter().collect();
        assert_eq!(from_table(to_table(&table).as_table()), table);
    }
}
