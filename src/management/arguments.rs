//! Arguments and client properties: tables of the core as JSON, and back.

use leveret_core::{IntWidth, Table, Value as Field};
use serde_json::{Map, Value, json};

use super::error::Refusal;

/// A table as a JSON object. Of names that repeat the first one counts.
pub fn to_json(table: &Table) -> Value {
    let mut object = Map::new();
    for (name, field) in table.iter() {
        object.entry(name).or_insert_with(|| field_to_json(field));
    }
    Value::Object(object)
}

/// The arguments in the body of a request; an empty list counts as an empty table.
///
/// # Errors
/// If they are no object.
pub fn from_json(arguments: Option<&Value>) -> Result<Table, Refusal> {
    match arguments {
        None | Some(Value::Null) => Ok(Table::default()),
        Some(Value::Array(items)) if items.is_empty() => Ok(Table::default()),
        Some(Value::Object(object)) => Ok(table_from_json(object)),
        Some(_) => Err(Refusal::bad_request("arguments must be an object")),
    }
}

/// A JSON object as a table. The reader of JSON has limited its depth.
fn table_from_json(object: &Map<String, Value>) -> Table {
    object.iter().map(|(name, value)| (name.as_str(), field_from_json(value))).collect()
}

fn field_to_json(field: &Field) -> Value {
    match field {
        Field::Void => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Int(value, _) => json!(value),
        Field::Unsigned(value, _) => json!(value),
        Field::Float(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Decimal { scale, value } => {
            json!(f64::from(*value) / 10f64.powi(i32::from(*scale)))
        }
        Field::LongString(bytes) | Field::ByteArray(bytes) => {
            Value::String(String::from_utf8_lossy(bytes).into_owned())
        }
        Field::Timestamp(seconds) => json!(seconds),
        Field::Array(items) => items.iter().map(field_to_json).collect(),
        Field::Table(table) => to_json(table),
    }
}

fn field_from_json(value: &Value) -> Field {
    match value {
        Value::Null => Field::Void,
        Value::Bool(value) => Field::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Field::Int(integer, IntWidth::W64),
            None => Field::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Field::Array(items.iter().map(field_from_json).collect()),
        Value::Object(object) => Field::Table(table_from_json(object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_can_say_comes_back() {
        let json = json!({
            "n": null, "b": true, "i": -7, "d": 1.5, "s": "é", "a": [1, "x", [], {}], "t": {"k": 1},
        });
        assert_eq!(to_json(&from_json(Some(&json)).unwrap()), json);
    }

    #[test]
    fn an_empty_list_and_nothing_are_no_arguments() {
        for arguments in [None, Some(json!(null)), Some(json!([])), Some(json!({}))] {
            assert!(from_json(arguments.as_ref()).unwrap().is_empty());
        }
        for arguments in [json!([1]), json!("x"), json!(1)] {
            assert!(from_json(Some(&arguments)).is_err());
        }
    }

    #[test]
    fn types_that_json_has_not_are_shown_in_its_closest() {
        let show = |field: Field| field_to_json(&field);
        assert_eq!(show(Field::Decimal { scale: 2, value: 275 }), json!(2.75));
        assert_eq!(show(Field::Timestamp(7)), json!(7));
        assert_eq!(show(Field::Double(f64::NAN)), json!(null));
        assert_eq!(show(Field::ByteArray(vec![b'a', 0xff])), json!("a\u{fffd}"));
    }

    #[test]
    fn integers_beyond_64_bits_become_floats() {
        let table = from_json(Some(&json!({"x": u64::MAX}))).unwrap();
        assert!(matches!(table.get("x"), Some(Field::Double(_))));
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let table: Table = [("a", 1.into()), ("a", Field::from(2))].into_iter().collect();
        assert_eq!(to_json(&table), json!({"a": 1}));
    }
}
