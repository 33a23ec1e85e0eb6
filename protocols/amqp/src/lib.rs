//! AMQP 0-9-1, with RabbitMQ's extensions, as the state machine of a server's connection.
//!
//! There is no I/O here, no clock and no thread: octets and the time come in as arguments, events
//! and octets go out. Queues, permissions and storage are somebody else's. What is here: framing,
//! the handshake, the order of methods, putting contents together, delivery tags and `multiple`,
//! the coalescing of confirms, heartbeats, and the texts of every error that follows from these.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use leveret_amqp::{Config, Connection};
//!
//! let now = Instant::now();
//! let mut connection = Connection::new(Arc::new(Config::default()), now);
//! let mut input: &[u8] = b"AMQP\x00\x00\x09\x01";
//! while let Some(event) = connection.poll_event(now, &mut input) {
//!     println!("{event:?}");
//! }
//! let mut output = VecDeque::new();
//! connection.poll_transmit(&mut output);
//! assert_eq!(output[0][7..11], [0, 10, 0, 10]); // connection.start
//! ```
#![warn(missing_docs)]

mod assembly;
mod channel;
mod config;
mod confirms;
mod connection;
mod error;
mod event;
mod frame;
pub mod method;
mod output;
mod properties;
mod table;
mod transaction;
mod unsettled;
mod value;
mod wire;

pub use config::{Config, TransactionLimits, server_properties};
pub use connection::{Capabilities, Connection, Timeout};
pub use error::{Error, Exception, Limit, ReplyCode};
pub use event::{Body, Event, Login, Outcome, Publish};
pub use method::{Method, MethodId, ServerMethod};
pub use output::{Content, Deliver, Get};
pub use properties::{Properties, PropertiesBuilder};
pub use table::{Array, ArrayBuilder, Entries, Table, TableBuilder, TableLimits, Values};
pub use transaction::Settlements;
pub use unsettled::{Deliveries, Delivery};
pub use value::Value;
