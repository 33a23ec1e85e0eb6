//! One value of a field table, in RabbitMQ's dialect of AMQP 0-9-1 §4.2.5.5.
//!
//! | tag | type | tag | type | tag | type |
//! |---|---|---|---|---|---|
//! | `t` | bool | `l` `L` | int64 | `T` | timestamp, seconds |
//! | `b` / `B` | int8 / uint8 | `f` / `d` | float32 / float64 | `A` | array |
//! | `s` / `u` | int16 / uint16 | `D` | decimal | `F` | table |
//! | `I` / `i` | int32 / uint32 | `S` / `x` | long string / octets | `V` | void |
//!
//! A value borrows its octets. Messages are forwarded in the encoding they arrived in, so nothing
//! here needs to remember which of two tags of the same type was used.

use bytes::BufMut;

use crate::error::Error;
use crate::table::{Array, Table};
use crate::wire::{Reader, put_long_str};

/// A field value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`, and `L` when decoding
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: `value` divided by ten to the power of `scale`
    Decimal {
        /// Number of decimal digits behind the point.
        scale: u8,
        /// All digits.
        value: u32,
    },
    /// `S`: text by custom, any octets in fact
    LongStr(&'a [u8]),
    /// `x`
    Bytes(&'a [u8]),
    /// `T`: seconds since 1970
    Timestamp(u64),
    /// `A`
    Array(Array<'a>),
    /// `F`
    Table(Table<'a>),
    /// `V`
    Void,
}

impl<'a> Value<'a> {
    /// The text of a long string that is UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::LongStr(octets) => std::str::from_utf8(octets).ok(),
            _ => None,
        }
    }

    /// The number in an integer of any width. Timestamps are no integers.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(number) => Some(number.into()),
            Self::U8(number) => Some(number.into()),
            Self::I16(number) => Some(number.into()),
            Self::U16(number) => Some(number.into()),
            Self::I32(number) => Some(number.into()),
            Self::U32(number) => Some(number.into()),
            Self::I64(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<Table<'a>> {
        match self {
            Self::Table(table) => Some(*table),
            _ => None,
        }
    }

    /// The name of the type in error texts, as RabbitMQ writes it.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::LongStr(_) => "longstr",
            Self::Bytes(_) => "binary",
            Self::Timestamp(_) => "timestamp",
            Self::Array(_) => "array",
            Self::Table(_) => "table",
            Self::Void => "void",
        }
    }

    /// Reads the tag and the value behind it. Nested tables are cut out, not looked into.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(match reader.octet()? {
            b't' => Self::Bool(reader.octet()? != 0),
            b'b' => Self::I8(reader.octet()? as i8),
            b'B' => Self::U8(reader.octet()?),
            b's' => Self::I16(reader.short()? as i16),
            b'u' => Self::U16(reader.short()?),
            b'I' => Self::I32(reader.long()? as i32),
            b'i' => Self::U32(reader.long()?),
            b'l' | b'L' => Self::I64(reader.long_long()? as i64),
            b'f' => Self::F32(f32::from_bits(reader.long()?)),
            b'd' => Self::F64(f64::from_bits(reader.long_long()?)),
            b'D' => Self::Decimal { scale: reader.octet()?, value: reader.long()? },
            b'S' => Self::LongStr(reader.long_str()?),
            b'x' => Self::Bytes(reader.long_str()?),
            b'T' => Self::Timestamp(reader.long_long()?),
            b'A' => Self::Array(Array::from_encoded(reader.long_str()?)),
            b'F' => Self::Table(Table::from_encoded(reader.long_str()?)),
            b'V' => Self::Void,
            tag => return Err(Error::UnknownFieldType(tag)),
        })
    }

    /// Writes the tag and the value behind it.
    pub(crate) fn write(&self, out: &mut impl BufMut) {
        match *self {
            Self::Bool(value) => put(out, b't', &[u8::from(value)]),
            Self::I8(number) => put(out, b'b', &number.to_be_bytes()),
            Self::U8(number) => put(out, b'B', &number.to_be_bytes()),
            Self::I16(number) => put(out, b's', &number.to_be_bytes()),
            Self::U16(number) => put(out, b'u', &number.to_be_bytes()),
            Self::I32(number) => put(out, b'I', &number.to_be_bytes()),
            Self::U32(number) => put(out, b'i', &number.to_be_bytes()),
            Self::I64(number) => put(out, b'l', &number.to_be_bytes()),
            Self::F32(number) => put(out, b'f', &number.to_be_bytes()),
            Self::F64(number) => put(out, b'd', &number.to_be_bytes()),
            Self::Decimal { scale, value } => {
                put(out, b'D', &[scale]);
                out.put_u32(value);
            }
            Self::LongStr(octets) => put_octets(out, b'S', octets),
            Self::Bytes(octets) => put_octets(out, b'x', octets),
            Self::Timestamp(seconds) => put(out, b'T', &seconds.to_be_bytes()),
            Self::Array(array) => put_octets(out, b'A', array.as_encoded()),
            Self::Table(table) => put_octets(out, b'F', table.as_encoded()),
            Self::Void => out.put_u8(b'V'),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::LongStr(text.as_bytes())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::I32(number)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl<'a> From<Table<'a>> for Value<'a> {
    fn from(table: Table<'a>) -> Self {
        Self::Table(table)
    }
}

impl<'a> From<Array<'a>> for Value<'a> {
    fn from(array: Array<'a>) -> Self {
        Self::Array(array)
    }
}

fn put(out: &mut impl BufMut, tag: u8, octets: &[u8]) {
    out.put_u8(tag);
    out.put_slice(octets);
}

fn put_octets(out: &mut impl BufMut, tag: u8, octets: &[u8]) {
    out.put_u8(tag);
    put_long_str(out, octets);
}
