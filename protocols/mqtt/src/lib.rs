//! MQTT 3.1, 3.1.1 and 5 as a state machine without I/O: the side of the server.
//!
//! [`Connection`] turns bytes into [`Event`]s and commands into bytes. It owns what MQTT owns:
//! packets, packet identifiers, the QoS 1 and 2 handshakes, Receive Maximum, keep alive, reason
//! codes. It knows no queue, permission, storage, socket, clock or thread: time comes in as an
//! argument, and a whole conversation is a unit test. Nor does it know a method of enhanced
//! authentication: it carries the data of any.

mod alias;
mod config;
mod connection;
mod error;
mod inbound;
mod outbound;
mod packet;
mod packet_id;
mod property;
mod read;
mod reason;
mod session;
mod string;
mod topic;
mod varint;

pub use alias::Topic;
pub use config::Config;
pub use connection::{Connection, Delivery, Event};
pub use error::Error;
pub use packet::auth::Auth;
pub use packet::connack::ConnAck;
pub use packet::connect::{Authentication, Connect, Will};
pub use packet::disconnect::{Disconnect, WillFate};
pub use packet::publish::{Deliver, OwnedPublish, Publish};
pub use packet::subscribe::{Filters, OwnedSubscribe, RetainHandling, Subscribe, Subscription};
pub use packet::unsubscribe::{Unsubscribe, UnsubscribeFilters};
pub use packet::{Qos, Version};
pub use property::{Properties, PropertiesBuilder, Property};
pub use reason::{Reason, ReasonCode};
pub use session::{Awaiting, InFlight, SessionState};
pub use topic::split_shared;
