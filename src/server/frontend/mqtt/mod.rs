//! MQTT: packets of one connection, mapped to the core.
//!
//! A client's session is a queue and its connection is the queue's one consumer; a SUBSCRIBE is a
//! binding of `amq.topic`. What the client publishes waits, in the order in which it came, in the
//! gate until the journal has it; then its acknowledgements leave.

mod authenticate;
mod connect;
pub(in crate::server) mod delayed;
mod deliver;
mod held;
mod properties;
mod publish;
mod reader;
mod subscribe;
mod topic;
mod vhost;

pub use properties::{RETAIN_HEADER, UserProperties, may_be_retained, to_amqp};

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use leveret_core::{ConsumerId, Delivery, EntryIndex, Position, QueueId, Settlement};
use leveret_mqtt::{Connection, Disconnect, Error, Event, Qos, Reason, ReasonCode, WillFate};
use smallvec::SmallVec;

use super::Frontend;
use crate::server::connections::Peer;
use crate::server::counts::Counts;
use crate::server::gate::Gate;
use crate::server::limits::Limit;
use crate::server::outbox::{CloseReason, Mail, Notice};
use crate::server::pause::Pause;
use crate::server::publisher::Publisher;
use crate::server::usage::Admission;
use crate::server::{Node, clock};
use authenticate::Login;
use connect::Accepting;
use held::Waiting;
use reader::Reader;
use subscribe::Granted;
use topic::LastTopic;

/// The exchange that topics belong to.
pub const TOPIC_EXCHANGE: &str = "amq.topic";

/// One MQTT connection.
pub struct Mqtt {
    node: Arc<Node>,
    peer: Arc<Peer>,
    connection: Connection,
    vhost: Arc<str>,
    session: Option<Session>,
    login: Option<Box<Login>>,
    /// Its place among the connections of its vhost, while it has one.
    admission: Option<Admission>,
    publisher: Publisher,
    received_topic: LastTopic,
    sent_topic: LastTopic,
    reader: Option<Reader>,
    /// What has to wait until it is known whether it is allowed.
    waiting: Option<Box<Waiting>>,
    /// In a box because many connections do nothing.
    counts: Option<Box<Counts>>,
    /// When what is being read came in, in milliseconds since the Unix epoch.
    read_at_ms: u64,
    gate: Gate<Promise>,
    /// Acknowledgements for the batch that is being read, and what they wait for.
    acks: Acks,
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
    /// More of the retained messages follow that subscriptions bring; nothing is read until then.
    is_retained_due: bool,
    subscriptions: usize,
    /// What its client said at last.
    goodbye: Option<Disconnect>,
}

type Ack = (u16, Qos, Reason<'static>);
type Acks = SmallVec<[Ack; 1]>;

/// What leaves once the journal has what it promises.
enum Promise {
    Accept(Box<Accepting>),
    Acks(Acks),
    Released(u16),
    Pubrel(u16),
    Suback { packet_id: u16, granted: Vec<Granted> },
    Unsuback { packet_id: u16, codes: Vec<ReasonCode>, text: &'static str },
}

/// The limit that a client went beyond, if that is what it did.
fn limit_of(error: &Error) -> Option<Limit> {
    match *error {
        Error::ConnectTimeout | Error::AuthenticationTimeout => Some(Limit::HandshakeTime),
        Error::CLIENT_ID_TOO_LONG => Some(Limit::ClientId),
        Error::Rule { reason, .. } => match reason {
            ReasonCode::PacketTooLarge => Some(Limit::PacketSize),
            ReasonCode::QuotaExceeded => Some(Limit::UserProperties),
            ReasonCode::ReceiveMaximumExceeded => Some(Limit::ReceiveMaximum),
            ReasonCode::TopicAliasInvalid => Some(Limit::TopicAliases),
            _ => None,
        },
        _ => None,
    }
}

const TAKEN_OVER: Reason<'_> =
    Reason::new(ReasonCode::SessionTakenOver, "another connection has the same client identifier");

const EXPIRED: Reason<'_> = Reason::new(ReasonCode::MaximumConnectTime, "the token has expired");

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
        self.show_counts();
        is_held
    }

    fn takes_events(&self) -> bool {
        self.gate.len() < PROMISES_MAX && !self.is_waiting() && !self.is_retained_due()
    }

    fn is_retained_due(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_retained_due)
    }

    /// When the client has to go.
    fn expires_at(&self) -> Option<Instant> {
        let reader = self.reader.as_ref().filter(|_| !self.connection.is_closed())?;
        reader.identity.expires_at()
    }

    fn is_waiting(&self) -> bool {
        self.is_accepting() || self.is_checking() || self.waiting.is_some()
    }

    /// For a client that has just connected.
    pub fn new(
        node: Arc<Node>,
        peer: Arc<Peer>,
        config: Arc<leveret_mqtt::Config>,
        now: Instant,
    ) -> Self {
        let publisher = Publisher::new(None);
        let vhost = node.topology().vhost_name(&node.config.mqtt_vhost);
        Mqtt {
            node,
            peer,
            connection: Connection::new(config, now),
            vhost,
            session: None,
            login: None,
            admission: None,
            publisher,
            received_topic: LastTopic::default(),
            sent_topic: LastTopic::default(),
            reader: None,
            waiting: None,
            counts: None,
            read_at_ms: 0,
            gate: Gate::default(),
            acks: Acks::new(),
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
            Event::Auth(auth) => self.handle_auth(&auth),
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
                self.note_limit(&error);
                tracing::info!(peer = %self.peer.link.peer, %error, "MQTT client broke a rule");
            }
            Event::Publish(_) | Event::Settled { .. } => {}
        }
    }

    fn note_limit(&self, error: &Error) {
        if let Some(limit) = limit_of(error) {
            self.node.refusals.note(limit);
        }
    }

    fn settle_batch(&mut self) {
        let Some(Session { queue, consumer, .. }) = self.session else { return };
        if !self.settled.is_empty() {
            self.counts().acked += self.settled.len() as u64;
            self.node.settle(queue, consumer, self.settled.drain(..), Settlement::Ack);
            self.retry_blocked();
        }
    }

    fn counts(&mut self) -> &mut Counts {
        self.counts.get_or_insert_default()
    }

    /// Shows others what it has counted.
    fn show_counts(&self) {
        if let Some(counts) = &self.counts {
            **self.peer.activity().beside.get_or_insert_default() = **counts;
        }
    }

    fn keep(&mut self, promise: Promise) {
        match promise {
            Promise::Accept(accepting) => self.accept(*accepting),
            Promise::Acks(acks) => self.acknowledge(&acks),
            Promise::Released(packet_id) => self.connection.release_done(packet_id),
            Promise::Pubrel(packet_id) => self.connection.pubrel(packet_id),
            Promise::Suback { packet_id, granted } => self.suback(packet_id, granted),
            Promise::Unsuback { packet_id, codes, text } => {
                self.connection.unsuback(packet_id, &codes, text);
            }
        }
    }

    fn handle_notice(&mut self, notice: &Notice) {
        let is_in = self.session.is_some() && !self.is_accepting();
        let reason = match notice {
            Notice::Cancelled(..) => {
                Reason::new(ReasonCode::AdministrativeAction, "the session is deleted")
            }
            // Sessions have no such time, and no window but their own.
            Notice::Overdue(..) | Notice::Stalled(_) => return,
            Notice::RetainedDue if is_in => return self.bring_due(),
            Notice::RetainedDue => return,
            Notice::Close(CloseReason::Shutdown) => self.shutting_down(),
            Notice::Close(CloseReason::TakenOver) => TAKEN_OVER,
            Notice::Close(CloseReason::Operator(why)) => {
                Reason::new(ReasonCode::AdministrativeAction, why)
            }
        };
        let is_redirection = reason.code == ReasonCode::UseAnotherServer;
        self.connection.disconnect(match is_in || is_redirection {
            true => reason,
            // There are no codes for these in a CONNACK; the client may come again.
            false => Reason::new(ReasonCode::ServerBusy, reason.text),
        });
    }

    fn shutting_down(&self) -> Reason<'static> {
        let code = self.or_elsewhere(ReasonCode::ServerShuttingDown);
        Reason::new(code, "the broker is shutting down")
    }

    /// Clients that cannot stay are sent elsewhere, if there is another server.
    fn or_elsewhere(&self, code: ReasonCode) -> ReasonCode {
        let is_alone = self.node.config.mqtt_server_reference.is_empty();
        if is_alone { code } else { ReasonCode::UseAnotherServer }
    }
}

impl Frontend for Mqtt {
    fn node(&self) -> &Node {
        &self.node
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn handle_input(&mut self, now: Instant, input: &mut &[u8]) {
        self.read_at_ms = clock::now_ms();
        self.forget_old(now);
        // What an event has to wait for may be durable already; then the next one can be taken.
        while self.take_events(now, input) && self.takes_events() {}
        self.pause.after_input(&self.node, now, self.publisher.is_ahead());
        if self.is_retained_due() {
            self.pause.until_at_least(now);
        }
        self.peer.set_blocked(self.pause.is_alarmed());
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
        self.show_counts();
        for notice in mail.notices.drain(..) {
            self.handle_notice(&notice);
        }
        self.finish_check();
        self.finish_held();
    }

    fn handle_durable(&mut self, durable: Position) {
        // What a SUBSCRIBE brings goes ahead of what was said after it.
        while !self.is_retained_due()
            && let Some(promise) = self.gate.pop(durable)
        {
            let is_of_publish =
                matches!(promise, Promise::Acks(_) | Promise::Released(_) | Promise::Pubrel(_));
            self.keep(promise);
            if !is_of_publish {
                self.gate.shrink();
            }
        }
    }

    fn waits_for(&self) -> Option<Position> {
        self.gate.waits_for().filter(|_| !self.is_retained_due())
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.expires_at().is_some_and(|at| at <= now) {
            return self.connection.disconnect(EXPIRED);
        }
        if self.pause.until().is_some_and(|at| at <= now) {
            let Mqtt { pause, publisher, node, .. } = self;
            pause.handle_timeout(node, now, |node| publisher.is_ahead_still(node));
            self.connection.note_heard(now);
            self.peer.set_blocked(self.pause.is_alarmed());
        }
        if self.is_retained_due() && self.pause.until().is_none() {
            self.bring_due();
        }
        // A client that is not listened to cannot be blamed for its silence.
        if self.wants_input()
            && let Some(error) = self.connection.handle_timeout(now)
        {
            self.note_limit(&error);
            tracing::info!(peer = %self.peer.link.peer, %error, "MQTT client timed out");
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let own =
            if self.wants_input() { self.connection.poll_timeout() } else { self.pause.until() };
        [own, self.expires_at()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self, out: &mut VecDeque<Bytes>) {
        self.connection.poll_transmit(out);
    }

    fn handle_written(&mut self, waiting: usize) {
        self.return_window(waiting);
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    fn close(&mut self) {
        self.settle_batch();
        self.admission = None;
        let Some(session) = self.session.take() else { return };
        self.node.announce_end_of_connection(&self.peer);
        let will = session.goodbye.is_none_or(|goodbye| goodbye.will == WillFate::Keep);
        let max = self.node.config.mqtt_session_expiry_max;
        let expiry_s = session.goodbye.and_then(|goodbye| goodbye.session_expiry_s);
        self.node.leave_session(
            session.queue,
            session.consumer,
            expiry_s.map(|expiry_s| expiry_s.min(max)),
            will,
        );
        if session.is_retained_due {
            self.node.remind_of_retained(session.queue);
        }
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.close();
        self.show_counts();
        let traffic = &self.peer.traffic;
        let (received, sent) =
            (traffic.received.load(Ordering::Relaxed), traffic.sent.load(Ordering::Relaxed));
        self.node.closed_traffic.note(received, sent);
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
        entries: impl IntoIterator<Item = EntryIndex>,
        settlement: Settlement,
    ) {
        self.shard_of(queue).post(|work| {
            let Some(queue) = work.state.queue(queue) else { return };
            for entry in entries {
                queue.settle(consumer, entry, settlement, &mut work.fx);
            }
            queue.pump(work.now_ms, &mut work.fx);
        });
    }
}
