//! Matching of message headers against the arguments of a binding.
//!
//! `x-match` says whether all criteria must hold or any one. The criteria are the other arguments;
//! those whose names begin with `x-` count only in the `-with-x` forms. A criterion without a value
//! asks for a header's presence only. No criteria at all: `all` holds, `any` does not.

use crate::value::{Table, Value};

/// What exchanges may ask about a message beside its routing key. The core does not decode wire
/// formats, so a frontend answers for it, lazily.
pub trait Headers {
    /// The value of a header; `None` if the message does not have it.
    fn header(&self, name: &str) -> Option<Value>;

    /// The value of a property; `None` if the message does not have it, or nobody can tell.
    fn property(&self, _: Property) -> Option<Value> {
        None
    }
}

/// The properties of a message that an exchange can route by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// `correlation-id`.
    CorrelationId,
    /// `message-id`.
    MessageId,
    /// `timestamp`.
    Timestamp,
}

impl Property {
    /// By the name that it has in the arguments of an exchange.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "correlation_id" => Some(Property::CorrelationId),
            "message_id" => Some(Property::MessageId),
            "timestamp" => Some(Property::Timestamp),
            _ => None,
        }
    }
}

impl Headers for Table {
    fn header(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }
}

impl<F: Fn(&str) -> Option<Value>> Headers for F {
    fn header(&self, name: &str) -> Option<Value> {
        self(name)
    }
}

/// An `x-match` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadersError {
    /// A word other than the four known ones.
    #[error(
        "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x", binary(.0)
    )]
    Value(String),
    /// Not a string.
    #[error("Invalid x-match field type {kind} (value {value}); expected longstr")]
    Type {
        /// The type's name.
        kind: &'static str,
        /// The value as text.
        value: String,
    },
}

/// A text as Erlang prints it.
fn binary(text: &str) -> String {
    if text.is_empty() { "<<>>".to_owned() } else { format!("<<\"{text}\">>") }
}

/// What the arguments of one binding ask of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeaderMatch {
    any: bool,
    criteria: Box<[(Box<str>, Value)]>,
}

impl HeaderMatch {
    pub(super) fn new(arguments: &Table) -> Result<Self, HeadersError> {
        let (any, with_x) = mode(arguments.get(X_MATCH))?;
        let counts = |name: &str| name != X_MATCH && (with_x || !name.starts_with("x-"));
        let criteria = arguments
            .iter()
            .filter(|(name, _)| counts(name))
            .map(|(name, value)| (name.into(), value.clone()))
            .collect();
        Ok(HeaderMatch { any, criteria })
    }

    pub(super) fn matches(&self, headers: &dyn Headers) -> bool {
        let holds = |(name, wanted): &(Box<str>, Value)| {
            headers
                .header(name)
                .is_some_and(|found| *wanted == Value::Void || wanted.is_equivalent(&found))
        };
        if self.any { self.criteria.iter().any(holds) } else { self.criteria.iter().all(holds) }
    }
}

/// Whether any criterion suffices, and whether those that begin with `x-` count.
fn mode(x_match: Option<&Value>) -> Result<(bool, bool), HeadersError> {
    let text = match x_match {
        None => return Ok((false, false)),
        Some(Value::LongString(text)) => text,
        Some(other) => {
            return Err(HeadersError::Type { kind: other.type_name(), value: other.to_string() });
        }
    };
    match text.as_slice() {
        b"all" => Ok((false, false)),
        b"any" => Ok((true, false)),
        b"all-with-x" => Ok((false, true)),
        b"any-with-x" => Ok((true, true)),
        other => Err(HeadersError::Value(String::from_utf8_lossy(other).into_owned())),
    }
}

const X_MATCH: &str = "x-match";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::IntWidth;

    fn table<const N: usize>(pairs: [(&str, Value); N]) -> Table {
        pairs.into_iter().collect()
    }

    fn matches<const N: usize, const M: usize>(
        arguments: [(&str, Value); N],
        headers: [(&str, Value); M],
    ) -> bool {
        HeaderMatch::new(&table(arguments)).unwrap().matches(&table(headers))
    }

    #[test]
    fn all_wants_every_criterion_and_any_wants_one() {
        let a = || ("a", Value::from(1));
        let b = || ("b", Value::from("x"));
        assert!(matches([a(), b()], [b(), a()]));
        assert!(!matches([a(), b()], [a()]));
        assert!(matches([("x-match", "any".into()), a(), b()], [a()]));
        assert!(!matches([("x-match", "any".into()), a(), b()], [("a", Value::from(2))]));
    }

    #[test]
    fn without_criteria_all_holds_and_any_does_not() {
        assert!(matches([], [("a", Value::from(1))]));
        assert!(matches([("x-match", "all".into())], []));
        assert!(!matches([("x-match", "any".into())], [("a", Value::from(1))]));
        assert!(!matches([("x-match", "any-with-x".into())], [("x-match", "any-with-x".into())]));
    }

    #[test]
    fn names_that_begin_with_x_count_only_when_asked() {
        let x = || ("x-a", Value::from(1));
        assert!(matches([x()], []));
        assert!(!matches([("x-match", "any".into()), x()], [x()]));
        assert!(!matches([("x-match", "all-with-x".into()), x()], []));
        assert!(matches([("x-match", "all-with-x".into()), x()], [x()]));
        assert!(matches([("x-match", "any-with-x".into()), x()], [x()]));
    }

    #[test]
    fn void_asks_for_presence_and_types_must_agree() {
        assert!(matches([("a", Value::Void)], [("a", "whatever".into())]));
        assert!(!matches([("a", Value::Void)], []));
        assert!(!matches([("a", Value::from(1))], [("a", "1".into())]));
        assert!(matches([("a", Value::from(1))], [("a", Value::Unsigned(1, IntWidth::W8))]));
    }

    #[test]
    fn a_wrong_x_match_is_refused_in_the_known_words() {
        let error =
            |value: Value| HeaderMatch::new(&table([("x-match", value)])).unwrap_err().to_string();
        assert_eq!(
            error("foo".into()),
            "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x"
        );
        assert_eq!(
            error(Value::Int(23, IntWidth::W32)),
            "Invalid x-match field type signedint (value 23); expected longstr"
        );
    }

    #[test]
    fn a_closure_answers_for_headers() {
        let headers = |name: &str| (name == "a").then(|| Value::from(true));
        let wanted = HeaderMatch::new(&table([("a", Value::from(true))])).unwrap();
        assert!(wanted.matches(&headers));
    }
}
