//! The pure core of the Leveret broker: messages, routing, queues and their records.
//!
//! Nothing here names a socket, a clock, a thread or a random number: time and identities come in
//! as arguments, effects go out.

mod position;

pub use position::{Position, RecordHeader};
