//! AMQP 0-9-1: methods of one connection, mapped to the core.
//!
//! Methods are carried out in the order in which they come. An answer that promises something
//! durable waits in the gate for the disk, and nothing more is read until it has left; confirms
//! wait there too, but hold nobody up. A consumer is cancelled behind the answers that wait, since one
//! of them may be to the deletion of its queue: clients expect the answer first.

mod basic;
mod channel;
mod consumer;
pub(in crate::server) mod copy;
pub(in crate::server) mod death;
pub(in crate::server) mod delayed;
mod deliver;
pub(in crate::server) mod event;
mod exchange;
mod held;
mod login;
mod publish;
mod queue;
mod refusal;
mod reply_to;
mod retain;
pub mod table;
mod transaction;

pub use table::{PropertyHeaders, from_table};

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use leveret_amqp::{
    Connection, Delivery, Event, Method, MethodId, Outcome, ReplyCode, ServerMethod, Timeout,
};
use leveret_core::{Actor, Position};
use smallvec::SmallVec;

use super::Frontend;
use crate::server::backends::Identity;
use crate::server::connections::Peer;
use crate::server::gate::Gate;
use crate::server::limits::Limit;
use crate::server::outbox::{CloseReason, Mail, Notice};
use crate::server::pause::Pause;
use crate::server::publisher::Publisher;
use crate::server::usage::Admission;
use crate::server::{DEFAULT_VHOST, Node, clock};
use basic::WaitingGet;
use channel::Channel;
use consumer::{Consumers, Window};
use held::{Held, Waiting};
use login::{Renewal, WaitingLogin};
use refusal::{Refusal, limit_named};

/// One AMQP connection.
pub struct Amqp {
    node: Arc<Node>,
    peer: Arc<Peer>,
    connection: Connection,
    vhost: Arc<str>,
    identity: Identity,
    /// A login of which it is not known yet whether it is right.
    login: Option<Box<WaitingLogin>>,
    /// A token that may take the place of the one there is.
    renewal: Option<Renewal>,
    /// What has to wait until it is known whether it is allowed.
    waiting: Option<Box<Waiting>>,
    /// The name that the broker has made up for a queue which is not declared yet.
    made_up_name: Option<String>,
    /// Its place among the connections of its vhost, while it has one.
    admission: Option<Admission>,
    channels: BTreeMap<u16, Channel>,
    consumers: Consumers,
    window: Window,
    publisher: Publisher,
    /// When what is being read came in, in milliseconds since the Unix epoch.
    read_at_ms: u64,
    gate: Gate<Promise>,
    /// Publishes of the batch that is being read, that want a confirm: the last one per channel.
    unconfirmed: Sequences,
    /// Deliveries that the client has acknowledged on one channel in this batch.
    acked: Vec<Delivery>,
    acked_on: u16,
    /// What publishes wait for beside their queues.
    retained_promise: Option<Position>,
    /// Answers in the gate: nothing is read before they have left.
    answers: usize,
    /// A `basic.get` whose message is on its way from the disk.
    waiting_get: Option<WaitingGet>,
    pause: Pause,
    /// Whether the state machine knows that the peer is not listened to.
    is_paused: bool,
    /// The peer was told of an alarm.
    is_told_of_alarm: bool,
}

type Sequences = SmallVec<[(u16, u64); 2]>;

/// What leaves once the journal has what it promises.
enum Promise {
    Confirms(Sequences),
    Answer(u16, Answer),
    /// basic.cancel for this consumer.
    Cancel(u64),
}

/// An answer that outlives the method that it answers.
enum Answer {
    Plain(ServerMethod<'static>),
    QueueDeclared { queue: Box<str>, messages: u32, consumers: u32 },
}

/// Promises that may wait at a time; then the client has to.
const PROMISES_MAX: usize = 4096;

impl Amqp {
    /// For a client that has just connected.
    pub fn new(
        node: Arc<Node>,
        peer: Arc<Peer>,
        config: Arc<leveret_amqp::Config>,
        now: Instant,
    ) -> Self {
        let publisher = Publisher::new(None);
        let vhost = node.topology().vhost_name(DEFAULT_VHOST);
        let window = Window::new(node.config.connection_window.len());
        Amqp {
            node,
            peer,
            connection: Connection::new(config, now),
            vhost,
            identity: Identity::internal(""),
            login: None,
            renewal: None,
            waiting: None,
            made_up_name: None,
            admission: None,
            channels: BTreeMap::new(),
            consumers: Consumers::default(),
            window,
            publisher,
            read_at_ms: 0,
            gate: Gate::default(),
            unconfirmed: Sequences::new(),
            acked: Vec::new(),
            acked_on: 0,
            retained_promise: None,
            answers: 0,
            waiting_get: None,
            pause: Pause::default(),
            is_paused: false,
            is_told_of_alarm: false,
        }
    }

    /// In whose name methods are carried out.
    fn actor(&self) -> Actor<'_> {
        self.identity.actor(&self.vhost, None)
    }

    fn handle_event(&mut self, now: Instant, event: Event<'_>) {
        let event = match event {
            Event::Publish(publish) => return self.handle_publish(now, publish),
            Event::Settle { outcome: Outcome::Ack, deliveries, channel } => {
                return self.acknowledge(channel, &deliveries);
            }
            event => event,
        };
        // Whatever else the client does comes after what it has published and acknowledged.
        self.flush_batch();
        match event {
            Event::Publish(_) => {}
            Event::Settle { outcome, deliveries, channel } => {
                self.settle(channel, outcome, &deliveries);
            }
            Event::Method { channel, method, arguments } => {
                self.handle_method(now, channel, (method, arguments));
            }
            Event::Login(login) => self.handle_login(now, &login),
            Event::Open { vhost } => self.handle_open(now, vhost),
            Event::ChannelOpen { channel } => self.handle_channel_open(now, channel),
            Event::Commit { channel, settlements } => {
                self.handle_commit(now, channel, settlements);
            }
            Event::Rollback { channel } => self.roll_back(channel),
            Event::Recover { channel, deliveries, no_wait } => {
                self.requeue(channel, &deliveries);
                if !no_wait {
                    self.connection.reply(channel, ServerMethod::BasicRecoverOk);
                }
            }
            Event::ChannelClose { channel, unsettled } => {
                self.end_channel(channel, &unsettled);
                self.connection.channel_close_ok(channel);
            }
            Event::ChannelFailed { channel, error, unsettled } => {
                self.note_limit(error.limit);
                tracing::info!(peer = %self.peer.link.peer, channel, %error, "channel closed");
                self.end_channel(channel, &unsettled);
            }
            Event::Close { .. } => {
                self.clean_up();
                self.connection.close_ok();
            }
            Event::Failed { error } => {
                self.note_limit(error.limit);
                tracing::info!(peer = %self.peer.link.peer, %error, "connection closed");
                self.clean_up();
            }
        }
    }

    fn note_limit(&self, limit: Option<leveret_amqp::Limit>) {
        if let Some(limit) = limit {
            self.node.refusals.note(limit_named(limit));
        }
    }

    fn handle_method(
        &mut self,
        now: Instant,
        channel: u16,
        (method, arguments): (Method<'_>, &[u8]),
    ) {
        let id = method.id();
        let done = match method {
            Method::ExchangeDeclare(declare) => self.declare_exchange(channel, &declare),
            Method::ExchangeDelete(delete) => self.delete_exchange(channel, &delete),
            Method::ExchangeBind(bind) => self.bind_exchange(channel, &bind),
            Method::ExchangeUnbind(bind) => self.unbind_exchange(channel, &bind),
            Method::QueueDeclare(declare) => self.declare_queue(channel, &declare),
            Method::QueueBind(bind) => self.bind_queue(channel, &bind),
            Method::QueueUnbind(unbind) => self.unbind_queue(channel, &unbind),
            Method::QueuePurge(purge) => self.purge_queue(channel, &purge),
            Method::QueueDelete(delete) => self.delete_queue(channel, &delete),
            Method::BasicQos(qos) => self.qos(channel, qos),
            Method::BasicConsume(consume) => self.consume(channel, &consume),
            Method::BasicCancel(cancel) => self.cancel(channel, &cancel),
            Method::BasicGet(get) => self.get(channel, &get),
            Method::UpdateSecret(update) => {
                self.update_secret(channel, update.new_secret);
                Ok(())
            }
        };
        match done {
            Err(_) if self.identity.must_ask() => {
                return self.hold(Held::Method(channel, id, arguments.into()));
            }
            Err(refusal) => self.refuse(now, channel, &refusal, id),
            Ok(()) => {}
        }
        self.made_up_name = None;
    }

    fn refuse(&mut self, now: Instant, channel: u16, refusal: &Refusal, method: MethodId) {
        let (code, text) = (refusal.code, &refusal.text);
        tracing::info!(peer = %self.peer.link.peer, channel, "{} - {text}", code.name());
        if code == ReplyCode::AccessRefused {
            self.node.audit_refusal(&self.peer, (&self.identity.user, &self.vhost), text);
        }
        if code.is_connection_level() {
            self.connection.connection_error(now, code, text, method);
            return self.clean_up();
        }
        let unsettled = self.connection.channel_error(channel, code, text, method);
        self.end_channel(channel, &unsettled);
    }

    /// Answers once `promise` is kept, unless the client wants no answer.
    fn answer(&mut self, channel: u16, answer: Answer, promise: Option<Position>, no_wait: bool) {
        if no_wait {
            return;
        }
        if promise.is_none() && self.answers == 0 {
            return self.keep(Promise::Answer(channel, answer));
        }
        self.answers += 1;
        self.gate.push(promise, Promise::Answer(channel, answer));
    }

    fn keep(&mut self, promise: Promise) {
        match promise {
            Promise::Confirms(sequences) => {
                for (channel, sequence) in sequences {
                    self.confirm_through(channel, sequence);
                }
            }
            Promise::Cancel(consumer) => self.consumer_cancelled(consumer),
            Promise::Answer(channel, Answer::Plain(method)) => {
                self.connection.reply(channel, method);
            }
            Promise::Answer(channel, Answer::QueueDeclared { queue, messages, consumers }) => {
                let (message_count, consumer_count) = (messages, consumers);
                let queue = &*queue;
                let method = ServerMethod::QueueDeclareOk { queue, message_count, consumer_count };
                self.connection.reply(channel, method);
            }
        }
    }

    fn handle_notice(&mut self, now: Instant, notice: &Notice) {
        let text = match notice {
            Notice::Cancelled(_, consumer) if self.answers > 0 => {
                return self.gate.push(None, Promise::Cancel(consumer.number));
            }
            Notice::Cancelled(_, consumer) => return self.consumer_cancelled(consumer.number),
            Notice::Stalled(consumer) => return self.window.line.push_back(consumer.number),
            Notice::Overdue(consumer, timeout_ms) => {
                return self.consumer_overdue(now, consumer.number, *timeout_ms);
            }
            Notice::Close(CloseReason::Shutdown) => {
                "broker forced connection closure with reason 'shutdown'"
            }
            Notice::RetainedDue | Notice::Close(CloseReason::TakenOver) => return,
            Notice::Close(CloseReason::Operator(text)) => text,
        };
        self.connection.connection_error(now, ReplyCode::ConnectionForced, text, MethodId::NONE);
        self.clean_up();
    }

    /// The connection is over: gives back what it held, and deletes what was its own.
    fn clean_up(&mut self) {
        self.flush_batch();
        self.waiting_get = None;
        for (channel, unsettled) in self.connection.drain_unsettled() {
            self.end_channel(channel, &unsettled);
        }
        let channels: Vec<u16> = self.channels.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.end_channel(channel, &[]));
        let exclusive = self.node.topology().exclusive_queues_of(self.peer.id);
        for queue in exclusive {
            self.node.delete_queue_by_id(queue);
        }
        if self.admission.take().is_some() {
            self.node.announce_end_of_connection(&self.peer);
        }
    }

    /// Tells the state machine whether its peer is listened to: if not, its silence is no fault.
    /// Tells the peer if it is for an alarm.
    fn note_pause(&mut self) {
        let paused = !self.wants_input();
        if paused != self.is_paused {
            self.is_paused = paused;
            self.connection.set_reading_paused(paused);
        }
        let alarm = self.pause.is_alarmed().then(|| self.node.alarms.reason()).flatten();
        match (self.is_told_of_alarm, alarm) {
            (false, Some(reason)) => self.connection.blocked(reason),
            (true, None) => self.connection.unblocked(),
            _ => return,
        }
        self.is_told_of_alarm = alarm.is_some();
        self.peer.set_blocked(alarm.is_some());
    }
}

impl Frontend for Amqp {
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
        self.note_pause();
        self.publish_facts();
    }

    fn needed_input(&self) -> usize {
        self.connection.needed_input()
    }

    fn wants_input(&self) -> bool {
        // A connection that is closing has to hear the answer.
        let is_paused = self.pause.until().is_some() && self.connection.is_running();
        !is_paused && self.takes_events()
    }

    fn handle_mail(&mut self, mail: &mut Mail) {
        for delivery in mail.deliveries.drain(..) {
            self.deliver(&delivery);
        }
        for notice in mail.notices.drain(..) {
            self.handle_notice(clock::now(), &notice);
        }
        self.serve_line();
        self.finish_login(clock::now());
        self.finish_renewal(clock::now());
        self.finish_held(clock::now());
        self.publish_facts();
    }

    fn handle_durable(&mut self, durable: Position) {
        while let Some(promise) = self.gate.pop(durable) {
            self.answers -= usize::from(matches!(promise, Promise::Answer(..)));
            self.keep(promise);
        }
        self.note_pause();
        self.publish_facts();
    }

    fn waits_for(&self) -> Option<Position> {
        self.gate.waits_for()
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Amqp { pause, publisher, node, .. } = self;
        pause.handle_timeout(node, now, |node| publisher.is_ahead_still(node));
        self.retry_get(now);
        self.end_expired(now);
        self.note_pause();
        if let Some(timeout) = self.connection.handle_timeout(now) {
            if timeout == Timeout::Handshake {
                self.node.refusals.note(Limit::HandshakeTime);
            }
            tracing::info!(peer = %self.peer.link.peer, ?timeout, "AMQP client timed out");
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.waiting_get.as_ref().map(|get| get.retry_at);
        let expiry = self.identity.expires_at().filter(|_| self.connection.is_running());
        let timeouts = [self.pause.until(), retry, expiry, self.connection.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self, out: &mut VecDeque<Bytes>) {
        self.connection.poll_transmit(out);
    }

    fn handle_written(&mut self, waiting: usize) {
        self.return_windows(waiting);
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    fn close(&mut self) {
        self.clean_up();
    }
}

impl Amqp {
    /// Takes events while it can; says whether it stopped for another reason than want of input.
    fn take_events(&mut self, now: Instant, input: &mut &[u8]) -> bool {
        let is_held = loop {
            if !self.takes_events() {
                break true;
            }
            let Some(event) = self.connection.poll_event(now, input) else { break false };
            self.handle_event(now, event);
        };
        self.flush_batch();
        self.handle_durable(self.node.durable());
        is_held
    }

    fn takes_events(&self) -> bool {
        let waits = self.answers > 0 || self.waiting_get.is_some() || self.login.is_some();
        !waits && self.waiting.is_none() && self.renewal.is_none() && self.gate.len() < PROMISES_MAX
    }
}

impl Drop for Amqp {
    fn drop(&mut self) {
        self.clean_up();
        self.node.forget_connection(self.peer.id);
    }
}
