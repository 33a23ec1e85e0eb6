//! The pure core of the Leveret broker: messages, routing, queues and their records.
//!
//! Nothing here names a socket, a clock, a thread or a random number: time and identities come in
//! as arguments, effects go out.

mod id;
mod message;
mod position;
mod value;

pub use id::{ConnectionId, ConsumerId, EntryIndex, QueueId, ShardId};
pub use message::{Body, Draft, Encoding, Facts, LARGE_BODY_BYTES, Message};
pub use position::{Position, RecordHeader};
pub use value::{IntWidth, Table, Value};
