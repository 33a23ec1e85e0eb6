//! The identities of things inside one node. They are newtypes so that no two can be confused.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One incarnation of a queue: a queue deleted and declared again has another id.
    QueueId(u64)
}
id! {
    /// A client connection, unique in the life of a process.
    ConnectionId(u64)
}
id! {
    /// The place of an entry in its queue: it grows with every message and is never reused.
    EntryIndex(u64)
}
id! {
    /// A shard of a node; shards are numbered from 1, 0 stands for the topology.
    ShardId(u16)
}

/// A consumer: the connection that holds it and a number that the connection chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId {
    /// The connection that deliveries go to.
    pub connection: ConnectionId,
    /// Unique within the connection, never reused.
    pub number: u64,
}

impl QueueId {
    /// The shard that executes this queue, of `shards` (at least 1).
    pub fn shard(self, shards: u16) -> ShardId {
        ShardId((self.0 % u64::from(shards.max(1))) as u16 + 1)
    }
}
