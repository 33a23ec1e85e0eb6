//! Exchanges that keep messages for a while. Each has a queue of its own for that, which nobody else sees:
//! what expires there is published to the exchange once more.

use super::{Topology, TopologyCommand};
use crate::exchange::{ExchangeKind, Headers};
use crate::id::QueueId;
use crate::value::Value;

/// A queue in which a message waits before an exchange routes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delayed {
    /// The queue.
    pub queue: QueueId,
    /// Whether it survives a restart.
    pub durable: bool,
    /// For how long, in milliseconds; at most [`Delayed::MAX_MS`].
    pub delay_ms: u64,
}

impl Delayed {
    /// The longest delay: a hundred years.
    pub const MAX_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

    /// The header that says the delay, in milliseconds.
    pub const HEADER: &str = "x-delay";

    /// How long a message is to wait; `None` if it does not say, or not for longer than 0. Numbers of all
    /// kinds are taken, and texts of decimal digits.
    pub fn of(headers: &dyn Headers) -> Option<u64> {
        let milliseconds = match headers.header(Self::HEADER)? {
            Value::Int(value, _) => u64::try_from(value).ok()?,
            Value::Unsigned(value, _) => value.into(),
            Value::Float(value) => f64::from(value) as u64,
            Value::Double(value) => value as u64,
            text => text.as_str()?.parse::<f64>().ok()? as u64,
        };
        (milliseconds > 0).then_some(milliseconds.min(Self::MAX_MS))
    }
}

impl Topology {
    /// The command with a queue for a new exchange that keeps messages.
    pub(super) fn with_own_queue(&self, command: TopologyCommand) -> TopologyCommand {
        match command {
            TopologyCommand::DeclareExchange { vhost, name, spec, own_queue: None }
                if matches!(spec.kind, ExchangeKind::Delayed | ExchangeKind::RecentHistory) =>
            {
                let own_queue = Some(self.next_queue_id());
                TopologyCommand::DeclareExchange { vhost, name, spec, own_queue }
            }
            command => command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{IntWidth, Table};

    #[test]
    fn a_delay_is_a_number_of_any_kind_above_0() {
        let of = |value: Value| Delayed::of(&Table(vec![("x-delay".to_owned(), value)]));
        for value in [
            Value::Int(5000, IntWidth::W32),
            Value::Unsigned(5000, IntWidth::W16),
            Value::Float(5000.5),
            Value::Double(5000.9),
            Value::from("5000"),
        ] {
            assert_eq!(of(value.clone()), Some(5000), "{value:?}");
        }
        for value in [
            Value::Int(0, IntWidth::W8),
            Value::Int(-5, IntWidth::W64),
            Value::Double(f64::NAN),
            Value::Float(-1.0),
            Value::from("soon"),
            Value::from("-7"),
            Value::Bool(true),
            Value::Void,
        ] {
            assert_eq!(of(value.clone()), None, "{value:?}");
        }
        assert_eq!(of(Value::Int(i64::MAX, IntWidth::W64)), Some(Delayed::MAX_MS));
        assert_eq!(of(Value::Double(f64::INFINITY)), Some(Delayed::MAX_MS));
        assert_eq!(of(Value::Int(1 << 33, IntWidth::W64)), Some(1 << 33), "a hundred days");
        assert_eq!(Delayed::of(&Table::default()), None);
    }
}
