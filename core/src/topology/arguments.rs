//! Arguments of declarations and bindings: what the broker keeps of them and how they are compared.

use super::{Resource, TopologyError};
use crate::value::{Table, Value};

/// How many values, nested ones included, the arguments of one declaration or binding may have.
pub const ARGUMENT_VALUES_MAX: usize = 1_024;

/// How deep lists and tables in arguments may nest: less than what a reader of JSON accepts.
pub const ARGUMENT_DEPTH_MAX: usize = 16;

/// Keeps the first of values with the same name, and refuses what could not be journaled and read
/// back.
pub(super) fn normalise(
    mut arguments: Table,
    of: impl Fn() -> Resource,
) -> Result<Table, TopologyError> {
    let mut left = ARGUMENT_VALUES_MAX;
    for (name, value) in &arguments.0 {
        check(value, ARGUMENT_DEPTH_MAX, &mut left).map_err(|flaw| match flaw {
            Flaw::TooMany => {
                TopologyError::TooManyArguments { resource: of(), max: ARGUMENT_VALUES_MAX }
            }
            Flaw::Value(reason) => TopologyError::InvalidArgument {
                resource: of(),
                argument: name.clone(),
                reason: reason.to_owned(),
            },
        })?;
    }
    let mut i = 0;
    while i < arguments.0.len() {
        let (seen, rest) = arguments.0.split_at(i);
        if seen.iter().any(|(name, _)| *name == rest[0].0) {
            arguments.0.remove(i);
        } else {
            i += 1;
        }
    }
    Ok(arguments)
}

/// Refuses arguments that differ from those of what exists, among the ones that matter.
pub(super) fn check_equivalent(
    names: impl IntoIterator<Item = &'static str>,
    received: &Table,
    current: &Table,
    of: impl Fn() -> Resource,
) -> Result<(), TopologyError> {
    for argument in names {
        let (received, current) = (received.get(argument), current.get(argument));
        let equivalent = match (received, current) {
            (Some(received), Some(current)) => received.is_equivalent(current),
            (None, None) => true,
            _ => false,
        };
        if !equivalent {
            return Err(TopologyError::InequivalentArgument {
                resource: of(),
                argument,
                received: describe(received),
                current: describe(current),
            });
        }
    }
    Ok(())
}

enum Flaw {
    TooMany,
    Value(&'static str),
}

fn check(value: &Value, depth_left: usize, values_left: &mut usize) -> Result<(), Flaw> {
    *values_left = values_left.checked_sub(1).ok_or(Flaw::TooMany)?;
    let deeper = depth_left.checked_sub(1).ok_or(Flaw::Value("nested too deeply"))?;
    match value {
        Value::Float(number) if !number.is_finite() => Err(Flaw::Value("not a finite number")),
        Value::Double(number) if !number.is_finite() => Err(Flaw::Value("not a finite number")),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, deeper, values_left)),
        Value::Table(table) => {
            table.iter().try_for_each(|(_, item)| check(item, deeper, values_left))
        }
        _ => Ok(()),
    }
}

fn describe(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => format!("the value '{value}' of type '{}'", value.type_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(table: Table) -> Result<Table, String> {
        normalise(table, || Resource::queue("q", "/")).map_err(|error| error.to_string())
    }

    fn nested(depth: usize) -> Table {
        let value = (1..depth).fold(Value::Void, |inner, _| Value::Array(vec![inner]));
        [("x", value)].into_iter().collect()
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let table = [("a", 1.into()), ("b", 2.into()), ("a", Value::from(3))].into_iter().collect();
        let kept: Table = [("a", Value::from(1)), ("b", Value::from(2))].into_iter().collect();
        assert_eq!(normalised(table), Ok(kept));
    }

    #[test]
    fn the_depth_is_limited() {
        assert!(normalised(nested(ARGUMENT_DEPTH_MAX)).is_ok());
        assert_eq!(
            normalised(nested(ARGUMENT_DEPTH_MAX + 1)).unwrap_err(),
            "invalid arg 'x' for queue 'q' in vhost '/': nested too deeply"
        );
    }

    #[test]
    fn arguments_of_the_greatest_depth_can_be_read_back() {
        let value = (1..ARGUMENT_DEPTH_MAX)
            .fold(Value::Void, |inner, _| Value::Table([("t", inner)].into_iter().collect()));
        let table: Table = [("x", value)].into_iter().collect();
        let json = serde_json::to_vec(&normalised(table.clone()).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Table>(&json).unwrap(), table);
    }

    #[test]
    fn the_number_of_values_is_limited() {
        let many = |n: usize| (0..n).map(|i| (i.to_string(), Value::Void)).collect::<Table>();
        assert!(normalised(many(ARGUMENT_VALUES_MAX)).is_ok());
        assert_eq!(
            normalised(many(ARGUMENT_VALUES_MAX + 1)).unwrap_err(),
            "too many arguments for queue 'q' in vhost '/': at most 1024 values"
        );
        let inner = Value::Array(vec![Value::Void; ARGUMENT_VALUES_MAX]);
        assert!(normalised([("x", inner)].into_iter().collect()).is_err());
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_refused() {
        for value in [Value::Float(f32::NAN), Value::Double(f64::INFINITY)] {
            let error = normalised([("x", value)].into_iter().collect()).unwrap_err();
            assert!(error.ends_with("not a finite number"));
        }
    }
}
