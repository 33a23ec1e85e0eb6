//! The journal of the Leveret broker and its storage engines.
//!
//! One journal serves a whole node: shards append records to it, one thread writes and syncs what
//! has gathered, and one watermark says how far the disk has followed. [`Storage`] is the contract;
//! [`Log`] (segment files, the default), `Sled` (a database, with the feature `sled`) and [`Memory`]
//! (nothing survives) keep it.
//!
//! The journal knows no queues. A payload is opaque bytes, and what keeps it alive is a count of
//! references per segment, which the broker moves with [`Storage::retain`] and
//! [`Storage::release`].
//!
//! ```
//! use leveret_core::RecordHeader;
//! use leveret_storage::{Log, LogConfig, Part, Payload, Storage, Urgency};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let dir = folder.path().join("data");
//! let log = Log::open(LogConfig::new(dir))?;
//! log.recover(&mut |at, _header, payload| println!("{at:?}: {} bytes", payload.len()))?;
//! let header = RecordHeader { kind: 1, shard: 0, term: 1, index: 1, timestamp_ms: 0 };
//! let at = log.append(header, Payload::new(&[Part::Copied(b"hello")]), Urgency::Promise);
//! assert_eq!(log.read(at)?.payload, "hello");
//! log.close()?;
//! assert!(log.durable_position() > at);
//! # Ok::<(), leveret_storage::Error>(())
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod directory;
pub mod disk;
mod error;
#[cfg(feature = "faulty")]
#[doc(hidden)]
pub mod faulty;
mod log;
mod memory;
mod payload;
mod segments;
#[cfg(feature = "sled")]
mod sled;
mod snapshot;
mod storage;
mod watermark;

pub use error::Error;
pub use log::{Checked, Damage, Log, LogConfig, SyncPolicy};
pub use memory::Memory;
pub use payload::{PAYLOAD_BYTES_MAX, Part, Payload};
#[cfg(feature = "sled")]
pub use sled::{Sled, SledConfig};
pub use storage::{
    Durability, IoStats, Record, RecoveryReport, RewritePlan, Rewritten, SegmentUsage, Snapshot,
    Stats, Storage, Urgency, Visit,
};
