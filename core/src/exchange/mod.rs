//! Exchanges by themselves: their types, their properties, and the table from a key to bindings.
//!
//! A table knows bindings by number only. What they lead to is the topology's business.

mod headers;
mod table;

pub use headers::{Headers, HeadersError};
pub(crate) use table::{BindingId, Criteria, RoutingTable};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::value::Table;

/// How an exchange chooses among its bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeKind {
    /// Bindings whose key equals the routing key.
    Direct,
    /// All bindings.
    Fanout,
    /// Bindings whose key, read as a pattern, matches the routing key.
    Topic,
    /// Bindings whose arguments match the message's headers.
    Headers,
}

/// A name that is no type of exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown exchange type '{0}'")]
pub struct UnknownExchangeType(pub String);

/// The properties of an exchange, which never change after its declaration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeSpec {
    /// Its type.
    pub kind: ExchangeKind,
    /// It survives a restart.
    #[serde(default)]
    pub durable: bool,
    /// It goes with the last binding that it is the source of.
    #[serde(default)]
    pub auto_delete: bool,
    /// Clients cannot publish to it; messages reach it through other exchanges only.
    #[serde(default)]
    pub internal: bool,
    /// Further arguments, kept as they were given.
    #[serde(default)]
    pub arguments: Table,
}

impl ExchangeKind {
    /// The name, as in `exchange.declare`.
    pub fn name(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Headers => "headers",
        }
    }
}

/// From the name in `exchange.declare`.
impl FromStr for ExchangeKind {
    type Err = UnknownExchangeType;

    fn from_str(name: &str) -> Result<Self, UnknownExchangeType> {
        match name {
            "direct" => Ok(ExchangeKind::Direct),
            "fanout" => Ok(ExchangeKind::Fanout),
            "topic" => Ok(ExchangeKind::Topic),
            "headers" => Ok(ExchangeKind::Headers),
            _ => Err(UnknownExchangeType(name.to_owned())),
        }
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExchangeSpec {
    /// A durable exchange without further properties.
    pub fn durable(kind: ExchangeKind) -> Self {
        ExchangeSpec { durable: true, ..ExchangeSpec::transient(kind) }
    }

    /// An exchange that does not survive a restart, without further properties.
    pub fn transient(kind: ExchangeKind) -> Self {
        ExchangeSpec {
            kind,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: Table::default(),
        }
    }
}
