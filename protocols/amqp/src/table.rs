//! Field tables and arrays (AMQP 0-9-1 §4.2.5.5): a borrowing reader and an owned writer.
//!
//! ```text
//! table  = length(4) *( name-length(1) name value )
//! array  = length(4) *value
//! value  = tag(1) octets
//! ```
//! A [`Table`] is the octets behind the length, as they arrived: order, duplicates and types stay
//! as the sender chose them. [`Table::parse`] checks everything once, without recursion and under
//! [`TableLimits`]; after that, reading cannot fail. On octets nobody checked, iteration ends at
//! the first malformed entry.
//!
//! ```
//! use leveret_amqp::{TableBuilder, Value};
//!
//! let mut table = TableBuilder::new();
//! table.insert("x-match", "any").insert("size", 3);
//! assert_eq!(table.as_table().find("size"), Some(Value::I32(3)));
//! ```

use smallvec::SmallVec;

use crate::error::Error;
use crate::value::Value;
use crate::wire::{Reader, put_short_str};

/// How much a peer may put into one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimits {
    /// Levels of tables and arrays inside each other, the outermost counted.
    pub depth_max: usize,
    /// Entries of all levels together.
    pub entries_max: usize,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { depth_max: 32, entries_max: 65_536 }
    }
}

/// A field table in its encoding, without the length before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Table<'a> {
    encoded: &'a [u8],
}

impl<'a> Table<'a> {
    /// Checks every entry of every level.
    ///
    /// # Errors
    /// The first thing that cannot be decoded or exceeds `limits`.
    pub fn parse(encoded: &'a [u8], limits: TableLimits) -> Result<Self, Error> {
        if !encoded.is_empty() {
            validate(encoded, limits)?;
        }
        Ok(Self { encoded })
    }

    /// A table of octets that were checked before, for example when they were stored.
    pub const fn from_encoded(encoded: &'a [u8]) -> Self {
        Self { encoded }
    }

    /// The octets, without the length before them.
    pub const fn as_encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// Whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// The entries in the order they were sent in, with duplicates.
    pub fn iter(&self) -> Entries<'a> {
        Entries { reader: Reader::new(self.encoded) }
    }

    /// The value of the first entry called `name`.
    pub fn find(&self, name: &str) -> Option<Value<'a>> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

impl<'a> IntoIterator for Table<'a> {
    type Item = (&'a str, Value<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a [`Table`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = read_entry(&mut self.reader).ok();
        if entry.is_none() {
            self.reader = Reader::new(&[]);
        }
        entry
    }
}

/// A field array in its encoding, without the length before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Array<'a> {
    encoded: &'a [u8],
}

impl<'a> Array<'a> {
    /// An array of octets that were checked before.
    pub const fn from_encoded(encoded: &'a [u8]) -> Self {
        Self { encoded }
    }

    /// The octets, without the length before them.
    pub const fn as_encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The values in order.
    pub fn iter(&self) -> Values<'a> {
        Values { reader: Reader::new(self.encoded) }
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Values<'a>;

    fn into_iter(self) -> Values<'a> {
        self.iter()
    }
}

/// The values of an [`Array`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let value = Value::read(&mut self.reader).ok();
        if value.is_none() {
            self.reader = Reader::new(&[]);
        }
        value
    }
}

/// Builds the encoding of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableBuilder {
    encoded: Vec<u8>,
}

impl TableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry. A name longer than 255 octets is cut between characters.
    pub fn insert<'v>(&mut self, name: &str, value: impl Into<Value<'v>>) -> &mut Self {
        put_short_str(&mut self.encoded, name);
        value.into().write(&mut self.encoded);
        self
    }

    /// The table so far.
    pub fn as_table(&self) -> Table<'_> {
        Table::from_encoded(&self.encoded)
    }

    /// The octets, without a length before them.
    pub fn into_encoded(self) -> Vec<u8> {
        self.encoded
    }
}

impl<'n, 'v> Extend<(&'n str, Value<'v>)> for TableBuilder {
    fn extend<I: IntoIterator<Item = (&'n str, Value<'v>)>>(&mut self, entries: I) {
        for (name, value) in entries {
            self.insert(name, value);
        }
    }
}

/// Builds the encoding of an array.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArrayBuilder {
    encoded: Vec<u8>,
}

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a value.
    pub fn push<'v>(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        value.into().write(&mut self.encoded);
        self
    }

    /// The array so far.
    pub fn as_array(&self) -> Array<'_> {
        Array::from_encoded(&self.encoded)
    }
}

fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, Value<'a>), Error> {
    Ok((reader.short_str()?, Value::read(reader)?))
}

/// A table or array that is being checked, and whether its values have names.
struct Level<'a> {
    reader: Reader<'a>,
    named: bool,
}

fn validate(encoded: &[u8], limits: TableLimits) -> Result<(), Error> {
    let mut open: SmallVec<[Level<'_>; 4]> = SmallVec::new();
    open.push(Level { reader: Reader::new(encoded), named: true });
    let mut entries = 0;
    while let Some(level) = open.last_mut() {
        if level.reader.is_empty() {
            open.pop();
            continue;
        }
        entries += 1;
        if entries > limits.entries_max {
            return Err(Error::TooManyEntries(limits.entries_max));
        }
        if level.named {
            level.reader.short_str()?;
        }
        let Some(nested) = nested_level(Value::read(&mut level.reader)?) else { continue };
        if open.len() >= limits.depth_max {
            return Err(Error::TooDeep(limits.depth_max));
        }
        open.push(nested);
    }
    Ok(())
}

fn nested_level(value: Value<'_>) -> Option<Level<'_>> {
    match value {
        Value::Table(table) => Some(Level { reader: Reader::new(table.encoded), named: true }),
        Value::Array(array) => Some(Level { reader: Reader::new(array.encoded), named: false }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let mut encoded = Vec::new();
        for _ in 1..depth {
            let mut outer = vec![1, b'a', b'F'];
            outer.extend_from_slice(&(encoded.len() as u32).to_be_bytes());
            outer.extend_from_slice(&encoded);
            encoded = outer;
        }
        encoded
    }

    #[test]
    fn a_table_may_be_as_deep_as_the_limit_and_no_deeper() {
        let limits = TableLimits::default();
        assert!(Table::parse(&nested(32), limits).is_ok());
        assert_eq!(Table::parse(&nested(33), limits), Err(Error::TooDeep(32)));
        assert_eq!(Table::parse(&nested(10_000), limits), Err(Error::TooDeep(32)));
    }

    #[test]
    fn entries_are_counted_over_all_levels() {
        let limits = TableLimits { depth_max: 2, entries_max: 3 };
        let mut inner = ArrayBuilder::new();
        inner.push(1).push(2);
        let mut table = TableBuilder::new();
        table.insert("a", inner.as_array());
        assert!(Table::parse(table.as_table().as_encoded(), limits).is_ok());
        table.insert("b", true);
        let error = Table::parse(table.as_table().as_encoded(), limits);
        assert_eq!(error, Err(Error::TooManyEntries(3)));
    }

    #[test]
    fn duplicates_and_order_are_kept() {
        let mut table = TableBuilder::new();
        table.insert("a", 1).insert("a", "x").insert("b", Value::Void);
        let entries: Vec<_> = table.as_table().iter().collect();
        assert_eq!(entries, [("a", 1.into()), ("a", "x".into()), ("b", Value::Void)]);
    }

    #[test]
    fn iteration_over_unchecked_octets_ends_at_the_first_bad_entry() {
        let table = Table::from_encoded(&[1, b'a', b'V', 1, b'b', b'?', 1, b'c', b'V']);
        assert_eq!(table.iter().count(), 1);
        let error = Table::parse(table.as_encoded(), TableLimits::default());
        assert_eq!(error, Err(Error::UnknownFieldType(b'?')));
    }
}
