//! Leveret, a message broker for AMQP 0.9.1 and MQTT, as a library.
//!
//! A program embeds a broker, talks to it without a socket, and lets RabbitMQ and MQTT clients in:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let data_dir = folder.path();
//! use leveret::{Broker, Config};
//!
//! let broker = Broker::start(Config::local(data_dir)).await?;
//! println!("AMQP clients connect to {}", broker.amqp_address());
//!
//! let client = broker.client();
//! let mut readings = client.subscribe("sensors/+/temp")?;
//! client.publish_topic("sensors/7/temp", "21.5").await?;
//!
//! let reading = readings.next().await.expect("the broker runs");
//! assert_eq!(reading.body(), b"21.5");
//! reading.ack();
//! broker.shutdown().await?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A [`Config`] says where data is kept and where to listen; port 0 takes a free one.
//! [`Broker::start_with`] takes any [`Storage`] engine.

mod broker;
mod client;
pub mod config;
mod management;
pub mod offline;
pub mod self_signed;
mod server;
pub mod systemd;

/// Decoders that no protocol crate has, for `tests/hostile` and `fuzz/`.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::server::frontend::amqp::table::{from_table, to_table};
    pub use crate::server::proxy::header;
    pub use crate::server::scram;
    pub use crate::server::websocket::frames;
}

pub use broker::{AuditLog, Broker, Certificates, Pulse, RunError, StartError};
pub use client::{Client, ClientError, Consumer, Received};
pub use config::Config;
pub use leveret_storage::{Log, Memory, Storage};
pub use server::backends::BackendError;
pub use server::tls::TlsError;
