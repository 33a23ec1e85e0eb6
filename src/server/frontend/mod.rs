//! One protocol on one connection, mapped to core commands.
//!
//! A frontend is driven by the connection loop in `server/connection.rs`: it sees bytes and mail and
//! never a socket. Only frontends know a protocol and the core.

pub mod amqp;
pub mod mqtt;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_core::{Encoding, Headers, Message, Position, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::Link;
use super::connection::Connection;
use super::connections::Peer;
use super::limits::Limit;
use super::outbox::Mail;
use super::visitors::VisitorLimits;
use super::{Node, clock};
use crate::config::Config;

/// What exchanges and queues may ask about a message, whatever the encoding of its properties.
pub fn headers_of(message: &Message) -> Box<dyn Headers + '_> {
    match message.encoding() {
        Encoding::None => Box::new(|_: &str| None::<Value>),
        Encoding::Amqp => {
            let properties = leveret_amqp::Properties::from_encoded(message.properties());
            Box::new(amqp::PropertyHeaders(properties))
        }
        Encoding::Mqtt => {
            let properties = leveret_mqtt::Properties::stored(message.properties());
            Box::new(mqtt::UserProperties(properties))
        }
    }
}

/// What the connection loop asks of a protocol.
pub trait Frontend: Send + 'static {
    /// The node that it speaks for.
    fn node(&self) -> &Node;

    /// Whom it speaks with.
    fn peer(&self) -> &Peer;

    /// Takes what it can from the front of `input`, and advances it. What is left has to come back
    /// with more bytes behind it.
    fn handle_input(&mut self, now: Instant, input: &mut &[u8]);

    /// How many bytes it needs in front of it to go on, at least.
    fn needed_input(&self) -> usize;

    /// Whether it would take input now. It does not while the peer has to wait for something: for
    /// the disk, for its own slow reading, for the end of an alarm.
    fn wants_input(&self) -> bool;

    /// Takes everything out of the mail.
    fn handle_mail(&mut self, mail: &mut Mail);

    /// Lets promises out that the durable watermark has passed.
    fn handle_durable(&mut self, durable: Position);

    /// The position that it waits for, if any.
    fn waits_for(&self) -> Option<Position>;

    /// Time has come to `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// When it wants [`Frontend::handle_timeout`] to be called.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Moves what is to be sent to `out`.
    fn poll_transmit(&mut self, out: &mut VecDeque<Bytes>);

    /// So many bytes wait for the socket still. Said whenever it has taken some, and when none wait.
    fn handle_written(&mut self, waiting: usize);

    /// Whether the conversation is over: what is to be sent is sent, then the socket is closed.
    fn is_closed(&self) -> bool;

    /// The socket is gone. Everything that the connection held is given back.
    fn close(&mut self);
}

/// What all connections of a protocol share.
#[derive(Debug)]
pub struct Protocols {
    amqp: Arc<leveret_amqp::Config>,
    /// For clients whose certificate names a user.
    amqp_external: Arc<leveret_amqp::Config>,
    mqtt: Arc<leveret_mqtt::Config>,
}

impl Protocols {
    /// As the configuration has it.
    pub fn new(config: &Config) -> Self {
        let amqp = amqp_config(config);
        let mechanisms = format!("{} EXTERNAL", amqp.mechanisms);
        let amqp_external = leveret_amqp::Config { mechanisms, ..amqp.clone() };
        Protocols {
            amqp: Arc::new(amqp),
            amqp_external: Arc::new(amqp_external),
            mqtt: Arc::new(mqtt_config(config)),
        }
    }
}

/// What the bytes of a connection go through.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for S {}

/// Speaks AMQP with a client that has just connected.
pub fn serve_amqp(node: &Arc<Node>, socket: impl Socket, link: Link) {
    serve(node, socket, link, |node, peer| {
        let config = match peer.link.certificate_user() {
            Some(_) => node.protocols.amqp_external.clone(),
            None => node.protocols.amqp.clone(),
        };
        amqp::Amqp::new(node, peer, config, clock::now())
    });
}

/// Speaks MQTT with a client that has just connected.
pub fn serve_mqtt(node: &Arc<Node>, socket: impl Socket, link: Link) {
    serve(node, socket, link, |node, peer| {
        let config = node.protocols.mqtt.clone();
        mqtt::Mqtt::new(node, peer, config, clock::now())
    });
}

/// Most of what an idle client costs; one byte more, and the allocator takes 256 more of them.
const _: () = assert!(size_of::<Connection<TcpStream, mqtt::Mqtt>>() <= 1024);

fn serve<F: Frontend>(
    node: &Arc<Node>,
    socket: impl Socket,
    link: Link,
    frontend: impl FnOnce(Arc<Node>, Arc<Peer>) -> F,
) {
    let of_address = VisitorLimits {
        connections: node.config.connections_per_address_max,
        rate: node.config.connection_rate_max,
    };
    let address = link.peer.clone();
    let peer = match node.connections.add(link, node.connections_max(), of_address) {
        Ok(peer) => peer,
        Err(reached) => {
            node.refusals.note(Limit::from(&reached));
            return tracing::warn!(%address, %reached, "a client is let go without a word");
        }
    };
    if let Some(reached) = peer.surplus.as_deref() {
        node.refusals.note(Limit::from(reached));
    }
    let frontend = frontend(node.clone(), peer);
    tokio::spawn(Box::new(Connection::new(socket, frontend)).run());
}

fn amqp_config(config: &Config) -> leveret_amqp::Config {
    let mut properties =
        leveret_amqp::server_properties(&config.amqp_product, &config.amqp_version);
    properties
        .insert("platform", "Rust")
        .insert("cluster_name", super::host::node_name())
        .insert("copyright", "Copyright (c) 2026 the Leveret authors")
        .insert(
            "information",
            concat!(
                "Licensed under ",
                env!("CARGO_PKG_LICENSE"),
                ". ",
                env!("CARGO_PKG_REPOSITORY")
            ),
        );
    leveret_amqp::Config {
        frame_max: config.amqp_frame_max,
        channel_max: config.amqp_channel_max,
        heartbeat_secs: config.amqp_heartbeat,
        server_properties: properties.into_encoded(),
        message_size_max: config.message_size_max.0,
        handshake_timeout: config.handshake_timeout.0,
        transactions: leveret_amqp::TransactionLimits {
            len_max: config.amqp_transaction_max as usize,
            bytes_max: config.amqp_transaction_size_max.0,
        },
        tables: leveret_amqp::TableLimits {
            depth_max: usize::from(config.amqp_table_depth_max),
            entries_max: config.amqp_table_entries_max as usize,
        },
        ..leveret_amqp::Config::default()
    }
}

fn mqtt_config(config: &Config) -> leveret_mqtt::Config {
    leveret_mqtt::Config {
        packet_size_max: config.mqtt_packet_len(),
        receive_maximum: config.mqtt_receive_max.max(1),
        in_flight_max: config.mqtt_inflight_max.max(1),
        topic_alias_max: config.mqtt_topic_alias_max,
        topic_alias_sent_max: config.mqtt_topic_alias_sent_max,
        keep_alive_max_s: config.mqtt_keep_alive_max,
        session_expiry_max_s: config.mqtt_session_expiry_max,
        connect_timeout: config.handshake_timeout.0,
        client_id_len_max: config.mqtt_client_id_max,
        connect_size_max: config.mqtt_connect_size_max.0.min(u32::MAX.into()) as u32,
        user_properties_max: config.mqtt_user_properties_max,
        server_reference: config.mqtt_server_reference.clone(),
    }
}
