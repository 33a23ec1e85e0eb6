//! Exchanges by themselves: their types, their properties, and the table from a key to bindings.
//!
//! A table knows bindings by number only. What they lead to is the topology's business.

mod binding_ids;
mod check;
mod headers;
mod rendezvous;
mod slots;
mod table;

pub(crate) use binding_ids::BindingIds;
pub use check::ExchangeError;
pub(crate) use check::{DELAYED_TYPE, HASH_HEADER, HASH_PROPERTY, check_arguments, check_binding};
pub use headers::{Headers, HeadersError, Property};
pub(crate) use rendezvous::{mix, stable_hash};
pub(crate) use table::{Asked, BindingId, Criteria, RoutingTable, plain_bytes};

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
    /// One binding, by a hash of the routing key, a header or a property. Binding keys are weights.
    ConsistentHash,
    /// One binding, by a hash of the routing key; all have the same weight.
    ModulusHash,
    /// One binding at random.
    Random,
    /// One binding at random; all lead to queues of this node and have no key.
    LocalRandom,
    /// As another type, after a time that each message says for itself.
    Delayed,
    /// All bindings, and new ones get what was published last.
    RecentHistory,
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
    /// All of them.
    pub const ALL: [ExchangeKind; 10] = [
        ExchangeKind::Direct,
        ExchangeKind::Fanout,
        ExchangeKind::Topic,
        ExchangeKind::Headers,
        ExchangeKind::ConsistentHash,
        ExchangeKind::ModulusHash,
        ExchangeKind::Random,
        ExchangeKind::LocalRandom,
        ExchangeKind::Delayed,
        ExchangeKind::RecentHistory,
    ];

    /// The name, as in `exchange.declare`.
    pub fn name(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Headers => "headers",
            ExchangeKind::ConsistentHash => "x-consistent-hash",
            ExchangeKind::ModulusHash => "x-modulus-hash",
            ExchangeKind::Random => "x-random",
            ExchangeKind::LocalRandom => "x-local-random",
            ExchangeKind::Delayed => "x-delayed-message",
            ExchangeKind::RecentHistory => "x-recent-history",
        }
    }

    /// Whether a second binding to the same destination means nothing to it, whatever its key.
    pub(crate) fn binds_once(self) -> bool {
        self == ExchangeKind::ConsistentHash
    }
}

/// From the name in `exchange.declare`.
impl FromStr for ExchangeKind {
    type Err = UnknownExchangeType;

    fn from_str(name: &str) -> Result<Self, UnknownExchangeType> {
        let named = ExchangeKind::ALL.into_iter().find(|kind| kind.name() == name);
        named.ok_or_else(|| UnknownExchangeType(name.to_owned()))
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

    /// The same exchange, but it delays messages.
    pub fn delayed(mut self) -> Self {
        self.arguments.0.push((check::DELAYED_TYPE.to_owned(), self.kind.name().into()));
        ExchangeSpec { kind: ExchangeKind::Delayed, ..self }
    }

    /// How it chooses among its bindings: its type, or the one that it delays.
    pub fn routes_as(&self) -> ExchangeKind {
        match self.kind {
            ExchangeKind::Delayed => check::delayed_type(&self.arguments).unwrap_or(self.kind),
            kind => kind,
        }
    }

    /// How many messages it keeps for those that are bound later, if its type does.
    pub(crate) fn history_len(&self) -> Option<u32> {
        let keeps = self.kind == ExchangeKind::RecentHistory;
        keeps.then(|| check::history_len(&self.arguments).unwrap_or(check::HISTORY_LEN))
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
