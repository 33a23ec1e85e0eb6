//! The pure core of the Leveret broker: messages, routing, queues and their records.
//!
//! Nothing here names a socket, a clock, a thread or a random number: time and identities come in
//! as arguments, effects go out.

mod exchange;
mod id;
mod message;
mod pattern;
mod position;
mod queue;
pub mod record;
mod retained;
mod shard;
mod topic;
mod topology;
mod value;

pub use exchange::{
    ExchangeError, ExchangeKind, ExchangeSpec, Headers, HeadersError, Property, UnknownExchangeType,
};
pub use id::{ConnectionId, ConsumerId, EntryIndex, QueueId, ShardId};
pub use message::{Body, Draft, Encoding, Facts, LARGE_BODY_BYTES, Message};
pub use pattern::{NAME_PATTERN_BYTES_MAX, NamePattern, NamePatternError};
pub use position::{Position, RecordHeader, Reference};
pub use queue::{
    ConsumerOptions, Death, DeathReason, DeduplicationSettings, Delivery, DiscardedPage, Effects,
    Fetch, Got, InExclusiveUse, Overflow, PAGE_LEN_MAX, PageEntries, PageFetch, PageOut, Peeked,
    PeekedMessage, PeekedPage, Placement, Queue, QueueSettings, QueueStats, RestoreFrom, Restored,
    Settlement, SharedPrefetch, SharedWindow, Spill, StoredEntry,
};
pub use retained::{Kept, Matching, Retained};
pub use shard::{Placed, ReadRecord, ShardState};
pub use topic::{Pattern, Syntax, Token, Trie, key_to_topic, topic_to_key, words};
pub use topology::{
    ARGUMENT_DEPTH_MAX, ARGUMENT_VALUES_MAX, Actor, Address, Applied, ApplyTo, Authority, Binding,
    BindingEntry, CommandFormatError, Delayed, Destination, ExchangeEntry, ExchangeTraffic,
    Explanation, InForce, Judge, Limit, Limits, NodeLimit, NodeLimits, Outcome, ParameterName,
    Permissions, Policy, PolicyError, PolicyKind, QueueEntry, QueueKind, QueueSpec, QueueType,
    Resource, ResourceKind, Right, Routes, Share, Shared, Step, Subscription, SubscriptionOptions,
    Target, TopicPattern, TopicPermissions, Topology, TopologyCommand, TopologyError,
    TopologyErrorKind, UnknownApplyTo, User, VhostFacts, Wanted, strip_cr_lf,
};
pub use value::{IntWidth, Table, Value};
