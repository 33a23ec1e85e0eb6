//! What types of exchanges refuse: arguments of declarations, keys of bindings. The texts are those
//! that RabbitMQ's clients know.

use super::headers::{HeadersError, Property};
use super::{Criteria, ExchangeKind};
use crate::value::{Table, Value};

/// The type of an exchange does not allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// A binding of a headers exchange says nonsense.
    #[error(transparent)]
    Headers(#[from] HeadersError),
    /// The key of a binding is a weight, and this one is no number.
    #[error("The binding key must be an integer: <<\"{0}\">>")]
    WeightNoInteger(String),
    /// A weight is 0 or negative.
    #[error("The binding key must be greater than 0")]
    WeightTooSmall,
    /// A weight is too great.
    #[error("The binding key must not exceed {WEIGHT_MAX}")]
    WeightTooGreat,
    /// What is to be hashed is said twice.
    #[error("hash-header and hash-property are mutually exclusive")]
    HeaderAndProperty,
    /// There is no such property, or none that can be hashed.
    #[error("Unsupported property: {0}")]
    UnsupportedProperty(String),
    /// The exchange takes bindings without a key only.
    #[error("Non empty binding '{0}' key not permitted")]
    KeyNotEmpty(String),
    /// What is to be delayed is not said, or no type of exchange.
    #[error("Invalid argument, '{DELAYED_TYPE}' must be an existing exchange type")]
    NoDelayedType,
    /// A delay of a delay.
    #[error("Invalid argument, 'x-delayed-message' can't be used for '{DELAYED_TYPE}'")]
    DelayedTwice,
    /// A history of no length, or too great a one.
    #[error("Invalid argument, '{HISTORY_LENGTH}' must be a positive integer")]
    HistoryLength,
    /// The exchange leads to queues only.
    #[error("Destination not found")]
    NoQueue,
}

/// What an exchange hashes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HashOn {
    Key,
    Header(Box<str>),
    Property(Property),
}

impl HashOn {
    /// From the arguments of a declaration. Those of a wrong type count as absent: declarations refuse
    /// them.
    pub(super) fn new(arguments: &Table) -> Result<Self, ExchangeError> {
        let text = |argument| arguments.get(argument).and_then(Value::as_str);
        match (text(HASH_HEADER), text(HASH_PROPERTY)) {
            (None, None) => Ok(HashOn::Key),
            (Some(header), None) => Ok(HashOn::Header(header.into())),
            (None, Some(name)) => Property::from_name(name)
                .map(HashOn::Property)
                .ok_or_else(|| ExchangeError::UnsupportedProperty(name.to_owned())),
            (Some(_), Some(_)) => Err(ExchangeError::HeaderAndProperty),
        }
    }
}

/// Refuses arguments of a declaration that its type cannot follow.
pub(crate) fn check_arguments(kind: ExchangeKind, arguments: &Table) -> Result<(), ExchangeError> {
    match kind {
        ExchangeKind::ConsistentHash => HashOn::new(arguments).map(|_| ()),
        ExchangeKind::RecentHistory => match arguments.get(HISTORY_LENGTH) {
            Some(_) if history_len(arguments).is_none() => Err(ExchangeError::HistoryLength),
            _ => Ok(()),
        },
        ExchangeKind::Delayed => match delayed_type(arguments) {
            None => Err(ExchangeError::NoDelayedType),
            Some(ExchangeKind::Delayed) => Err(ExchangeError::DelayedTwice),
            Some(kind) => check_arguments(kind, arguments),
        },
        _ => Ok(()),
    }
}

/// How many messages an exchange is to remember, if it says so and may.
pub(super) fn history_len(arguments: &Table) -> Option<u32> {
    let len = u32::try_from(arguments.get(HISTORY_LENGTH)?.as_integer()?).ok()?;
    (1..=HISTORY_LEN_MAX).contains(&len).then_some(len)
}

/// The type that a delayed exchange routes as.
pub(super) fn delayed_type(arguments: &Table) -> Option<ExchangeKind> {
    arguments.get(DELAYED_TYPE)?.as_str()?.parse().ok()
}

/// Refuses a binding that the type of its source cannot have. What a headers exchange asks for is
/// looked at when the binding is made.
pub(crate) fn check_binding(
    kind: ExchangeKind,
    criteria: Criteria<'_>,
    is_to_queue: bool,
) -> Result<(), ExchangeError> {
    match kind {
        ExchangeKind::ConsistentHash => weight(criteria.key).map(|_| ()),
        ExchangeKind::LocalRandom if !criteria.key.is_empty() => {
            Err(ExchangeError::KeyNotEmpty(criteria.key.to_string()))
        }
        ExchangeKind::LocalRandom if !is_to_queue => Err(ExchangeError::NoQueue),
        _ => Ok(()),
    }
}

/// The weight that a binding key says.
pub(super) fn weight(key: &str) -> Result<u16, ExchangeError> {
    let (sign, digits) = key.split_at(usize::from(key.starts_with(['+', '-'])));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ExchangeError::WeightNoInteger(key.to_owned()));
    }
    match digits.trim_start_matches('0') {
        _ if sign == "-" => Err(ExchangeError::WeightTooSmall),
        "" => Err(ExchangeError::WeightTooSmall),
        digits => match digits.parse::<u16>() {
            Ok(weight) if weight <= WEIGHT_MAX => Ok(weight),
            _ => Err(ExchangeError::WeightTooGreat),
        },
    }
}

/// The greatest weight of a binding.
const WEIGHT_MAX: u16 = 10_000;

/// How many messages are remembered unless an exchange says it.
pub(super) const HISTORY_LEN: u32 = 20;
const HISTORY_LEN_MAX: u32 = 100_000;

const HISTORY_LENGTH: &str = "x-recent-history-length";
pub(crate) const DELAYED_TYPE: &str = "x-delayed-type";
pub(crate) const HASH_HEADER: &str = "hash-header";
pub(crate) const HASH_PROPERTY: &str = "hash-property";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_decimal_number_from_1_to_10000() {
        for (key, expected) in [("1", 1), ("+7", 7), ("0010", 10), ("10000", 10_000)] {
            assert_eq!(weight(key), Ok(expected), "{key}");
        }
        let flaw = |key: &str| weight(key).unwrap_err().to_string();
        for key in ["0", "-1", "-0", "-99999999999999999999", "000"] {
            assert_eq!(flaw(key), "The binding key must be greater than 0", "{key}");
        }
        for key in ["10001", "70000", "99999999999999999999999"] {
            assert_eq!(flaw(key), "The binding key must not exceed 10000", "{key}");
        }
        for key in ["", "abc", "1.5", " 1", "1 ", "-", "+", "0x10", "--1"] {
            let expected = format!("The binding key must be an integer: <<\"{key}\">>");
            assert_eq!(flaw(key), expected);
        }
    }
}
