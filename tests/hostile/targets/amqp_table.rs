//! Field tables and properties of AMQP: what is taken is the same when it is written and read again, as
//! octets of the wire and as values of the core.

use leveret::internals::{from_table, to_table};
use leveret_amqp::{Properties, PropertiesBuilder, Table, TableLimits, Value};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    within(16 * KIB + 128 * octets.len(), || {
        if let Ok(table) = Table::parse(octets, LIMITS) {
            look_at(table);
            write_again(table);
        }
        if let Ok(properties) = Properties::parse(octets, LIMITS) {
            write_properties_again(properties);
        }
    });
}

fn look_at(table: Table<'_>) {
    for (name, value) in table.iter() {
        assert!(table.find(name).is_some());
        match value {
            Value::Table(inner) => look_at(inner),
            Value::Array(array) => array.iter().for_each(|item| _ = item.as_i64()),
            leaf => _ = (leaf.as_str(), leaf.as_i64()),
        }
    }
}

fn write_again(table: Table<'_>) {
    let written = to_table(&from_table(table));
    let read = Table::parse(written.as_table().as_encoded(), LIMITS).expect("the broker wrote it");
    assert_eq!(format!("{:?}", from_table(read)), format!("{:?}", from_table(table)));
    assert_eq!(to_table(&from_table(read)).as_table(), written.as_table());
}

fn write_properties_again(properties: Properties<'_>) {
    let fields = PropertiesBuilder::from(properties);
    let written = fields.encode();
    let read = Properties::parse(&written, LIMITS).expect("the broker wrote it");
    assert_eq!(PropertiesBuilder::from(read), fields);
}

const LIMITS: TableLimits = TableLimits { depth_max: 32, entries_max: 4096 };
