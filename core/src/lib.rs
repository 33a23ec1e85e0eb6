//! The pure core of the Leveret broker: messages, routing, queues and their records.
//!
//! Nothing here names a socket, a clock, a thread or a random number: time and identities come in
//! as arguments, effects go out.

mod exchange;
mod id;
mod message;
mod position;
mod queue;
pub mod record;
mod retained;
mod shard;
mod topic;
mod topology;
mod value;

pub use exchange::{ExchangeKind, ExchangeSpec, Headers, HeadersError, UnknownExchangeType};
pub use id::{ConnectionId, ConsumerId, EntryIndex, QueueId, ShardId};
pub use message::{Body, Draft, Encoding, Facts, LARGE_BODY_BYTES, Message};
pub use position::{Position, RecordHeader, Reference};
pub use queue::{
    ConsumerOptions, Death, DeathReason, Delivery, DiscardedPage, Effects, Fetch, Got,
    InExclusiveUse, Overflow, PAGE_LEN_MAX, PageEntries, PageFetch, PageOut, Placement, Queue,
    QueueSettings, QueueStats, RestoreFrom, Restored, Settlement, SharedPrefetch, Spill,
    StoredEntry,
};
pub use retained::{Kept, Matching, Retained};
pub use shard::{ReadRecord, ShardState};
pub use topic::{Pattern, Syntax, Token, Trie, key_to_topic, topic_to_key, words};
pub use topology::{
    ARGUMENT_DEPTH_MAX, ARGUMENT_VALUES_MAX, Address, Applied, Binding, BindingEntry,
    CommandFormatError, Destination, ExchangeEntry, Outcome, Permissions, QueueEntry, QueueKind,
    QueueSpec, QueueType, Resource, ResourceKind, Routes, Subscription, SubscriptionOptions,
    Target, Topology, TopologyCommand, TopologyError, TopologyErrorKind, User, strip_cr_lf,
};
pub use value::{IntWidth, Table, Value};
