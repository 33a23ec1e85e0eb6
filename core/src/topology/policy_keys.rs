//! What policies can say. Texts are those that RabbitMQ's tools show.

use super::policy::{ApplyTo, Policy, PolicyKind};
use super::queue_arguments;
use crate::value::Value;

/// A policy that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It says nothing.
    #[error("no policy provided")]
    Empty,
    /// It says what nobody understands, or what is not there.
    #[error("[<<\"{0}\">>] are not recognised policy settings")]
    UnknownKey(String),
    /// A value that is none for its key.
    #[error("{value} is not a valid {what}")]
    InvalidValue {
        /// The value.
        value: String,
        /// What it should be.
        what: &'static str,
    },
    /// An operator policy that is not for queues.
    #[error("operator policies apply to queues only")]
    OperatorForExchanges,
}

struct Key {
    name: &'static str,
    what: &'static str,
    may_operator: bool,
}

pub(super) const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// Those of which the least counts.
pub(super) const IS_NUMBER: [&str; 6] = [
    "consumer-timeout",
    "delivery-limit",
    "expires",
    "max-length",
    "max-length-bytes",
    "message-ttl",
];

const KEYS: &[Key] = &[
    user(ALTERNATE_EXCHANGE, "alternate exchange name"),
    user("consumer-timeout", "consumer timeout"),
    user("dead-letter-exchange", "dead letter exchange name"),
    user("dead-letter-routing-key", "dead letter routing key"),
    user("dead-letter-strategy", "dead letter strategy"),
    both("delivery-limit", "delivery limit"),
    both("expires", "queue expiry"),
    both("max-in-memory-bytes", "maximum memory in bytes"),
    both("max-in-memory-length", "maximum memory in messages"),
    both("max-length", "maximum length"),
    both("max-length-bytes", "maximum length in bytes"),
    both("message-ttl", "message TTL"),
    both("overflow", "overflow strategy"),
    user("queue-leader-locator", "queue leader locator value"),
    user("queue-master-locator", "queue leader locator value"),
    user("queue-mode", "queue-mode value"),
    both("queue-version", "queue-version value"),
];

const fn user(name: &'static str, what: &'static str) -> Key {
    Key { name, what, may_operator: false }
}

const fn both(name: &'static str, what: &'static str) -> Key {
    Key { name, what, may_operator: true }
}

/// Refuses a policy that cannot be followed.
pub(super) fn check(kind: PolicyKind, policy: &Policy) -> Result<(), PolicyError> {
    if policy.definition.is_empty() {
        return Err(PolicyError::Empty);
    }
    let is_for_queues = !matches!(policy.apply_to, ApplyTo::Exchanges | ApplyTo::All);
    if kind == PolicyKind::Operator && !is_for_queues {
        return Err(PolicyError::OperatorForExchanges);
    }
    for (name, value) in policy.definition.iter() {
        let may = |key: &&Key| kind == PolicyKind::User || key.may_operator;
        let known = KEYS.iter().find(|key| key.name == name).filter(may);
        let key = known.ok_or_else(|| PolicyError::UnknownKey(name.to_owned()))?;
        if !is_fine(key, value) {
            let value = match value.as_str() {
                Some(text) => format!("<<\"{text}\">>"),
                None => value.to_string(),
            };
            return Err(PolicyError::InvalidValue { value, what: key.what });
        }
    }
    Ok(())
}

fn is_fine(key: &Key, value: &Value) -> bool {
    match key.name {
        ALTERNATE_EXCHANGE | "dead-letter-exchange" | "dead-letter-routing-key" => {
            value.as_str().is_some()
        }
        name => queue_arguments::is_fine(&format!("x-{name}"), value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{IntWidth, Table};

    fn flaw(kind: PolicyKind, name: &str, value: impl Into<Value>) -> Option<String> {
        let definition = Table(vec![(name.to_owned(), value.into())]);
        let apply_to = ApplyTo::Queues;
        let pattern = "".parse().unwrap();
        let policy = Policy { pattern, apply_to, definition, priority: 0 };
        check(kind, &policy).err().map(|error| error.to_string())
    }

    fn number(value: i64) -> Value {
        Value::Int(value, IntWidth::W64)
    }

    #[test]
    fn every_key_has_its_values() {
        for (name, good, bad) in [
            ("max-length", number(0), number(-1)),
            ("message-ttl", number(5), "5".into()),
            ("expires", number(1), number(0)),
            ("overflow", "reject-publish".into(), "drop-tail".into()),
            ("delivery-limit", number(-1), number(-2)),
            ("dead-letter-exchange", "".into(), number(1)),
            ("alternate-exchange", "x".into(), Value::Bool(true)),
            ("queue-mode", "lazy".into(), "slow".into()),
        ] {
            assert_eq!(flaw(PolicyKind::User, name, good), None, "{name}");
            assert!(
                flaw(PolicyKind::User, name, bad).unwrap().contains("is not a valid"),
                "{name}"
            );
        }
        let text = flaw(PolicyKind::User, "max-length", "many").unwrap();
        assert_eq!(text, "<<\"many\">> is not a valid maximum length");
    }

    #[test]
    fn all_numbers_are_keys_with_arguments_behind_them() {
        for name in IS_NUMBER {
            assert_eq!(flaw(PolicyKind::User, name, number(10)), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_said() {
        for name in ["ha-mode", "federation-upstream", "max-age", "x-max-length", ""] {
            let expected = format!("[<<\"{name}\">>] are not recognised policy settings");
            assert_eq!(flaw(PolicyKind::User, name, "all"), Some(expected));
        }
        assert_eq!(flaw(PolicyKind::Operator, "max-length", number(1)), None);
        assert!(flaw(PolicyKind::Operator, "dead-letter-exchange", "x").is_some());
    }
}
