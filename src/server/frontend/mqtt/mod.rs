//! MQTT: packets of one connection, mapped to the core.
//!
//! A client's session is a queue and its connection is the queue's one consumer; a SUBSCRIBE is a
//! binding of `amq.topic`. What the client publishes waits, in the order in which it came, in the
//! gate until the journal has it; then its acknowledgements leave.

mod connect;
mod deliver;
mod properties;
mod publish;
mod subscribe;

pub use properties::to_amqp;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_core::{ConsumerId, Delivery, EntryIndex, Position, QueueId, Settlement};
use leveret_mqtt::{Connection, Disconnect, Event, Qos, ReasonCode, WillFate};

use super::Frontend;
use crate::server::connections::Peer;
use crate::server::gate::Gate;
use crate::server::outbox::{CloseReason, Mail, Notice};
use crate::server::pause::Pause;
use crate::server::publisher::Publisher;
use crate::server::{DEFAULT_VHOST, Node, clock};
use connect::Accepting;
use subscribe::Granted;

/// The exchange that topics belong to.
const TOPIC_EXCHANGE: &str = "amq.topic";

/// One MQTT connection.
pub struct Mqtt {
    node: Arc<Node>,
    peer: Arc<Peer>,
    connection: Connection,
    vhost: Arc<str>,
    session: Option<Session>,
    publisher: Publisher,
    gate: Gate<Promise>,
    /// Acknowledgements for the batch that is being read, and what they wait for.
    acks: Vec<Ack>,
    batch_promise: Option<Position>,
    /// Entries that the client has settled in the batch that is being read.
    settled: Vec<EntryIndex>,
    /// Deliveries whose packet identifier is still in flight.
    blocked: VecDeque<Delivery>,
    /// Bytes of deliveries that the queue has not got back yet.
    debt_bytes: usize,
    pause: Pause,
}

/// The session that the connection holds.
struct Session {
    queue: QueueId,
    consumer: ConsumerId,
    durable: bool,
    subscriptions: usize,
    /// What its client said at last.
    goodbye: Option<Disconnect>,
}

type Ack = (u16, Qos, ReasonCode);

/// What leaves once the journal has what it promises.
enum Promise {
    Accept(Box<Accepting>),
    Acks(Vec<Ack>),
    Released(u16),
    Pubrel(u16),
    Suback { packet_id: u16, granted: Vec<Granted> },
    Unsuback { packet_id: u16, codes: Vec<ReasonCode> },
}

/// Promises that may wait at a time; then the client has to.
const PROMISES_MAX: usize = 1024;

impl Mqtt {
    /// Takes events while it can; says whether it stopped for another reason than want of input.
    fn take_events(&mut self, now: Instant, input: &mut &[u8]) -> bool {
        let is_held = loop {
            if !self.takes_events() {
                break true;
            }
            let Some(event) = self.connection.poll_event(now, input) else {
                break self.is_accepting();
            };
            self.handle_event(event);
        };
        self.settle_batch();
        self.flush_batch();
        self.handle_durable(self.node.durable());
        is_held
    }

    fn takes_events(&self) -> bool {
        self.gate.len() < PROMISES_MAX && !self.is_accepting()
    }

    /// For a client that has just connected.
    pub fn new(
        node: Arc<Node>,
        peer: Arc<Peer>,
        config: Arc<leveret_mqtt::Config>,
        now: Instant,
    ) -> Self {
        let publisher = Publisher::new(None, node.shard_count());
        Mqtt {
            node,
            peer,
            connection: Connection::new(config, now),
            vhost: DEFAULT_VHOST.into(),
            session: None,
            publisher,
            gate: Gate::default(),
            acks: Vec::new(),
            batch_promise: None,
            settled: Vec::new(),
            blocked: VecDeque::new(),
            debt_bytes: 0,
            pause: Pause::default(),
        }
    }

    fn handle_event(&mut self, event: Event<'_>) {
        match event {
            Event::Publish(publish) => return self.handle_publish(&publish),
            Event::Settled { token } => return self.settled.push(EntryIndex(token)),
            _ => self.flush_batch(),
        }
        match event {
            Event::Connect(connect) => self.handle_connect(&connect),
            Event::Release { packet_id } => self.handle_release(packet_id),
            Event::Subscribe(subscribe) => self.handle_subscribe(&subscribe),
            Event::Unsubscribe(unsubscribe) => self.handle_unsubscribe(&unsubscribe),
            Event::Received { token, packet_id } => self.handle_received(token, packet_id),
            Event::Disconnect(goodbye) => {
                if let Some(session) = &mut self.session {
                    session.goodbye = Some(goodbye);
                }
            }
            Event::Error(error) => {
                tracing::info!(peer = %self.peer.address, %error, "MQTT client broke a rule");
            }
            Event::Publish(_) | Event::Settled { .. } => {}
        }
    }

    fn settle_batch(&mut self) {
        let Some(Session { queue, consumer, .. }) = self.session else { return };
        if !self.settled.is_empty() {
            self.node.settle(queue, consumer, &self.settled, Settlement::Ack);
            self.settled.clear();
            self.retry_blocked();
        }
    }

    fn keep(&mut self, promise: Promise) {
        match promise {
            Promise::Accept(accepting) => self.accept(*accepting),
            Promise::Acks(acks) => {
                for (packet_id, qos, reason) in acks {
                    self.connection.publish_ack(packet_id, qos, reason);
                }
            }
            Promise::Released(packet_id) => self.connection.release_done(packet_id),
            Promise::Pubrel(packet_id) => self.connection.pubrel(packet_id),
            Promise::Suback { packet_id, granted } => self.suback(packet_id, &granted),
            Promise::Unsuback { packet_id, codes } => self.connection.unsuback(packet_id, &codes),
        }
    }

    fn handle_notice(&mut self, notice: &Notice) {
        if self.is_accepting() {
            // There are no words for this in a CONNACK; the client may come again.
            return self.connection.refuse(ReasonCode::ServerBusy);
        }
        let reason = match notice {
            Notice::Cancelled(..) => ReasonCode::AdministrativeAction,
            // Sessions have no such time.
            Notice::Overdue(..) => return,
            Notice::Close(CloseReason::Shutdown) => ReasonCode::ServerShuttingDown,
            Notice::Close(CloseReason::TakenOver) => ReasonCode::SessionTakenOver,
            Notice::Close(CloseReason::Operator(_)) => ReasonCode::AdministrativeAction,
        };
        self.connection.disconnect(reason);
    }
}

impl Frontend for Mqtt {
    fn handle_input(&mut self, now: Instant, input: &mut &[u8]) {
        // What an event has to wait for may be durable already; then the next one can be taken.
        while self.take_events(now, input) && self.takes_events() {}
        self.pause.after_input(&self.node, now, self.publisher.is_ahead());
        self.peer.set_blocked(self.pause.alarm().is_some());
    }

    fn needed_input(&self) -> usize {
        self.connection.needed_input()
    }

    fn wants_input(&self) -> bool {
        self.pause.until().is_none() && self.takes_events()
    }

    fn handle_mail(&mut self, mail: &mut Mail) {
        for delivery in mail.deliveries.drain(..) {
            self.deliver(delivery);
        }
        for notice in mail.notices.drain(..) {
            self.handle_notice(&notice);
        }
        // Deliveries that were dropped will never be written.
        self.return_window(self.connection.transmit_len());
    }

    fn handle_durable(&mut self, durable: Position) {
        while let Some(promise) = self.gate.pop(durable) {
            self.keep(promise);
        }
    }

    fn waits_for(&self) -> Option<Position> {
        self.gate.waits_for()
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.pause.until().is_some_and(|at| at <= now) {
            self.pause.handle_timeout(&self.node, now);
            self.connection.note_heard(now);
            self.peer.set_blocked(self.pause.alarm().is_some());
        }
        // A client that is not listened to cannot be blamed for its silence.
        if self.wants_input()
            && let Some(error) = self.connection.handle_timeout(now)
        {
            tracing::info!(peer = %self.peer.address, %error, "MQTT client timed out");
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.wants_input() { self.connection.poll_timeout() } else { self.pause.until() }
    }

    fn poll_transmit(&mut self, out: &mut VecDeque<Bytes>) {
        self.connection.poll_transmit(out);
    }

    fn handle_written(&mut self, _written: usize, waiting: usize) {
        self.return_window(waiting);
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    fn close(&mut self) {
        self.settle_batch();
        let Some(session) = self.session.take() else { return };
        let will = session.goodbye.is_none_or(|goodbye| goodbye.will == WillFate::Keep);
        let max = self.node.config.mqtt_session_expiry_max;
        let expiry_s = session.goodbye.and_then(|goodbye| goodbye.session_expiry_s);
        self.node.leave_session(
            session.queue,
            session.consumer,
            expiry_s.map(|expiry_s| expiry_s.min(max)),
            will,
        );
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.close();
        self.node.forget_connection(self.peer.id);
    }
}

impl Node {
    /// Takes a connection off all lists.
    pub(super) fn forget_connection(&self, connection: leveret_core::ConnectionId) {
        self.shards.iter().for_each(|shard| shard.forget(connection));
        self.connections.remove(connection);
    }

    /// Settles entries of one queue that one consumer holds.
    pub fn settle(
        &self,
        queue: QueueId,
        consumer: ConsumerId,
        entries: &[EntryIndex],
        settlement: Settlement,
    ) {
        let now_ms = clock::now_ms();
        self.shard_of(queue).post(|work| {
            let Some(queue) = work.state.queue(queue) else { return };
            for &entry in entries {
                queue.settle(consumer, entry, settlement, &mut work.fx);
            }
            queue.pump(now_ms, &mut work.fx);
        });
    }
}
