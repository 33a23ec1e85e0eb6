//! Values of arguments and headers, in the types of AMQP field tables.
//!
//! The core sees them where it has to act on them: queue and exchange arguments, header bindings.
//! Message headers are forwarded in the encoding they arrived in and never pass through here.

use serde::{Deserialize, Serialize};

/// An ordered list of named values. Names may repeat, as the wire allows; the first one counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table(pub Vec<(String, Value)>);

/// One value of a [`Table`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// No value; in a header binding "present, whatever the value".
    Void,
    /// A truth value.
    Bool(bool),
    /// A signed integer of 8, 16, 32 or 64 bits.
    Int(i64, IntWidth),
    /// An unsigned integer of 8, 16 or 32 bits.
    Unsigned(u32, IntWidth),
    /// A 32-bit float.
    Float(f32),
    /// A 64-bit float.
    Double(f64),
    /// `value` divided by ten to the power of `scale`.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        value: u32,
    },
    /// Text, or bytes that claim to be.
    LongString(Vec<u8>),
    /// Bytes.
    ByteArray(Vec<u8>),
    /// Seconds since the Unix epoch.
    Timestamp(u64),
    /// A list.
    Array(Vec<Value>),
    /// A nested table.
    Table(Table),
}

/// The width in bits that an integer had on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntWidth {
    /// 8 bits.
    W8,
    /// 16 bits.
    W16,
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Table {
    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Equal as sets of named values, whatever the order; integers compare by value.
    pub fn is_equivalent(&self, other: &Table) -> bool {
        let covers = |a: &Table, b: &Table| {
            a.iter().all(|(key, value)| b.get(key).is_some_and(|found| found.is_equivalent(value)))
        };
        self.0.len() == other.0.len() && covers(self, other) && covers(other, self)
    }
}

impl Value {
    /// The integer in this value, whatever its width.
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Value::Int(value, _) => Some(value),
            Value::Unsigned(value, _) => Some(i64::from(value)),
            _ => None,
        }
    }

    /// The text in this value; `None` for other types and for bytes that are not UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::LongString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The type's name as RabbitMQ prints it in error texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Void => "void",
            Value::Bool(_) => "bool",
            Value::Int(_, IntWidth::W8) => "byte",
            Value::Int(_, IntWidth::W16) => "short",
            Value::Int(_, IntWidth::W32) => "signedint",
            Value::Int(_, IntWidth::W64) => "long",
            Value::Unsigned(_, IntWidth::W8) => "unsignedbyte",
            Value::Unsigned(_, IntWidth::W16) => "unsignedshort",
            Value::Unsigned(..) => "unsignedint",
            Value::Float(_) => "float",
            Value::Double(_) => "double",
            Value::Decimal { .. } => "decimal",
            Value::LongString(_) => "longstr",
            Value::ByteArray(_) => "binary",
            Value::Timestamp(_) => "timestamp",
            Value::Array(_) => "array",
            Value::Table(_) => "table",
        }
    }

    /// Equality by meaning: integers compare by value across widths, everything else by type and
    /// value (the rule that RabbitMQ applies to arguments and to header bindings).
    pub fn is_equivalent(&self, other: &Value) -> bool {
        match (self.as_integer(), other.as_integer()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => match (self, other) {
                (Value::Table(a), Value::Table(b)) => a.is_equivalent(b),
                (a, b) => a == b,
            },
            _ => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::LongString(text.as_bytes().to_vec())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value, IntWidth::W64)
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Table {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        Table(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Void => f.write_str("undefined"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value, _) => value.fmt(f),
            Value::Unsigned(value, _) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Double(value) => value.fmt(f),
            Value::Decimal { scale, value } => write!(f, "{value}e-{scale}"),
            Value::LongString(bytes) | Value::ByteArray(bytes) => {
                f.write_str(&String::from_utf8_lossy(bytes))
            }
            Value::Timestamp(seconds) => seconds.fmt(f),
            Value::Array(items) => write!(f, "[{} values]", items.len()),
            Value::Table(table) => write!(f, "{{{} values}}", table.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_different_widths_are_equivalent_by_value() {
        let narrow = Value::Int(5, IntWidth::W8);
        assert!(narrow.is_equivalent(&Value::Unsigned(5, IntWidth::W32)));
        assert!(!narrow.is_equivalent(&Value::Int(6, IntWidth::W8)));
        assert!(!narrow.is_equivalent(&Value::Double(5.0)));
    }

    #[test]
    fn tables_are_equivalent_in_any_order() {
        let a: Table = [("x", Value::from(1)), ("y", Value::from("z"))].into_iter().collect();
        let b: Table = [("y", Value::from("z")), ("x", Value::from(1))].into_iter().collect();
        assert!(a.is_equivalent(&b));
        assert!(!a.is_equivalent(&Table::default()));
    }
}
