//! MQTT sessions: who holds which, and what happens when its client comes, goes and stays away.
//!
//! A session is a queue with the client's subscriptions as bindings. This registry knows what a
//! queue cannot: the connection that holds it, the will, and the time at which it ends. A connection
//! that lost its session to another one changes nothing any more: every step names the consumer
//! that takes it.

mod operator;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashbrown::HashMap;
use leveret_core::record::{self, Kind, RecordedWill, SessionRecord, WillParts};
use leveret_core::{
    ConnectionId, ConsumerId, ConsumerOptions, EntryIndex, Facts, Message, Position, QueueId,
    QueueKind, QueueSpec, TopologyCommand, TopologyError,
};
use leveret_storage::Urgency;

pub use operator::SessionFacts;

use super::backends::Identity;
use super::outbox::{CloseReason, Notice, Outbox};
use super::timers::Timer;
use super::{Node, clock};

/// A session that ends at no time by itself.
pub const NEVER: u32 = u32::MAX;

/// What the queue of a session is called, with the client identifier behind it.
pub const QUEUE_PREFIX: &str = "mqtt.";

/// All sessions of a node.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Each in memory of its own: tables are half empty.
    by_client: HashMap<Client, Box<Session>>,
    clients: HashMap<QueueId, Client>,
    /// What the journal says of sessions, until they are restored.
    recorded: HashMap<QueueId, SessionRecord>,
}

/// Whose a session is. Every virtual host has client identifiers of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// The virtual host.
    pub vhost: Arc<str>,
    /// The client identifier.
    pub id: Arc<str>,
}

/// A session of a client.
#[derive(Debug)]
pub struct Session {
    queue: QueueId,
    holder: Option<Holder>,
    /// In seconds; [`NEVER`] is for ever.
    expiry_s: u32,
    will: Option<Box<Will>>,
    /// While nobody holds it: since when, in milliseconds since the Unix epoch.
    away_since_ms: Option<u64>,
    /// As well: when its will is due, and when it ends.
    will_at: Option<Instant>,
    ends_at: Option<Instant>,
}

#[derive(Debug)]
struct Holder {
    consumer: ConsumerId,
    outbox: Arc<Outbox>,
}

/// A message that is published when its client has gone without a word.
#[derive(Debug, Clone)]
pub struct Will {
    /// The message, without the times of its publication.
    pub message: Message,
    /// How long it waits for the client to come back, in seconds.
    pub delay_s: u32,
    /// How long it lives once it is published, in seconds; `None` is for ever.
    pub expiry_s: Option<u32>,
    /// In whose name it is published. After a restart, of a user whom the topology does not know, it is not.
    pub identity: Identity,
    /// The client that left it.
    pub client_id: Arc<str>,
}

/// A client that wants its session.
#[derive(Debug)]
pub struct Opening {
    /// Who it is.
    pub client: Client,
    /// Whether it wants a new one.
    pub clean_start: bool,
    /// How long the session is to be kept without its client, in seconds.
    pub expiry_s: u32,
    /// The client's connection.
    pub connection: ConnectionId,
    /// Its outbox.
    pub outbox: Arc<Outbox>,
    /// Its will.
    pub will: Option<Will>,
}

/// A session, in the hands of its client.
#[derive(Debug)]
pub struct Opened {
    /// Its queue.
    pub queue: QueueId,
    /// The consumer that the client is.
    pub consumer: ConsumerId,
    /// Whether it was there before.
    pub present: bool,
    /// The QoS 2 entries that the client has taken over and not released, with their sequence.
    pub received: Vec<(EntryIndex, u64)>,
    /// What has to be durable before the client is told.
    pub promise: Option<Position>,
}

impl Node {
    /// Gives a client its session, and takes it from whoever holds it.
    ///
    /// # Errors
    /// If the topology refuses the session's queue.
    pub fn open_session(&self, opening: Opening) -> Result<Opened, TopologyError> {
        let mut sessions = self.lock_sessions();
        // An operator may have deleted its queue.
        let exists = |old: &Session| self.topology().queue_by_id(old.queue).is_some();
        let old = sessions.remove(&opening.client).filter(exists);
        let resumed = old.and_then(|mut old| {
            if let Some(holder) = &old.holder {
                holder.outbox.notify(Notice::Close(CloseReason::TakenOver));
            }
            let ends = opening.clean_start || old.expiry_s == 0;
            let is_due = |will: &Will| ends || (old.holder.is_some() && will.delay_s == 0);
            if let Some(will) = old.will.take().filter(|will| is_due(will)) {
                self.publish_will(&opening.client.vhost, *will);
            }
            if ends {
                self.delete_queue_by_id(old.queue);
            }
            (!ends).then_some(old)
        });
        let consumer = ConsumerId { connection: opening.connection, number: 1 };
        let mut opened = match resumed {
            Some(old) => self.resume(&old, consumer, opening.expiry_s)?,
            None => self.begin(&opening, consumer)?,
        };
        let queue = opened.queue;
        self.online.set(queue, true);
        self.shard_of(queue).attach(opening.connection, &opening.outbox);
        sessions.clients.insert(queue, opening.client.clone());
        let session = Session {
            queue,
            holder: Some(Holder { consumer, outbox: opening.outbox }),
            expiry_s: opening.expiry_s,
            will: opening.will.map(Box::new),
            away_since_ms: None,
            will_at: None,
            ends_at: None,
        };
        opened.promise = opened.promise.max(self.record_session(&session, Urgency::Promise));
        sessions.by_client.insert(opening.client, Box::new(session));
        Ok(opened)
    }

    fn begin(&self, opening: &Opening, consumer: ConsumerId) -> Result<Opened, TopologyError> {
        let Client { vhost, id: client_id } = opening.client.clone();
        let name = format!("{QUEUE_PREFIX}{client_id}");
        let spec = QueueSpec {
            durable: opening.expiry_s > 0,
            kind: QueueKind::MqttSession { client_id, expiry_s: opening.expiry_s },
            ..QueueSpec::default()
        };
        let (queue, commanded) = self.declare_queue(&vhost, &name, spec, true)?;
        let promise = commanded.promise;
        Ok(Opened { queue, consumer, present: false, received: Vec::new(), promise })
    }

    fn resume(
        &self,
        old: &Session,
        consumer: ConsumerId,
        expiry_s: u32,
    ) -> Result<Opened, TopologyError> {
        let mut promise = None;
        if expiry_s != old.expiry_s {
            let command = TopologyCommand::SetSessionExpiry { id: old.queue, expiry_s };
            promise = self.command(command)?.promise;
        }
        let received = self.shard_of(old.queue).post(|work| {
            let Some(queue) = work.state.queue(old.queue) else { return Vec::new() };
            if let Some(holder) = &old.holder {
                queue.detach(holder.consumer, &mut work.fx);
            }
            queue.adopt_received(consumer)
        });
        // What is promised by "present": the session, and the packets that are taken as received.
        let promise = promise.max(self.last_control()).max(self.received_until(old.queue));
        Ok(Opened { queue: old.queue, consumer, present: true, received, promise })
    }

    /// Begins to deliver what is in a session's queue; says whether the consumer still holds it.
    pub fn start_session(
        &self,
        queue: QueueId,
        consumer: ConsumerId,
        options: ConsumerOptions,
    ) -> bool {
        let mut sessions = self.lock_sessions();
        if sessions.held_by(queue, consumer).is_none() {
            return false;
        }
        self.shard_of(queue).post(|work| {
            let Some(queue) = work.state.queue(queue) else { return false };
            let started = queue.consume(consumer, options).is_ok();
            queue.pump(work.now_ms, &mut work.fx);
            started
        })
    }

    /// A client has gone. `expiry_s` is what it said at last about its session, `will` whether its
    /// will is still wanted. If another connection has taken the session over, nothing happens.
    pub fn leave_session(
        &self,
        queue: QueueId,
        consumer: ConsumerId,
        expiry_s: Option<u32>,
        will: bool,
    ) {
        let mut sessions = self.lock_sessions();
        let Some((client, session)) = sessions.held_by(queue, consumer) else { return };
        let vhost = client.vhost.clone();
        session.holder = None;
        if let Some(expiry_s) = expiry_s.filter(|&expiry_s| expiry_s != session.expiry_s) {
            session.expiry_s = expiry_s;
            // It is gone if the topology does not know it any more.
            _ = self.command(TopologyCommand::SetSessionExpiry { id: queue, expiry_s });
        }
        self.online.set(queue, false);
        let has_fellows = self.online.has_any(&self.topology().fellow_members(queue));
        self.shard_of(queue).post(|work| {
            if let Some(queue) = work.state.queue(queue) {
                if has_fellows {
                    queue.hand_on_shared(consumer, &mut work.fx);
                }
                queue.detach(consumer, &mut work.fx);
            }
        });
        session.will = session.will.take().filter(|_| will);
        session.away_since_ms = Some(clock::now_ms());
        if let Some(will) = self.wait(session) {
            self.publish_will(&vhost, *will);
        }
        // Behind the will: a crash in between may double it.
        self.record_session(session, Urgency::Lazy);
        if session.expiry_s == 0 {
            sessions.forget(queue);
            self.delete_queue_by_id(queue);
        }
    }

    /// Tells whoever holds a session that retained messages are due to it.
    pub fn remind_of_retained(&self, queue: QueueId) {
        let mut sessions = self.lock_sessions();
        if let Some(holder) = sessions.find(queue).and_then(|(_, session)| session.holder.as_ref())
        {
            holder.outbox.notify(Notice::RetainedDue);
        }
    }

    /// Sets the timers of a session that nobody holds. Gives its will if it is due now.
    fn wait(&self, session: &mut Session) -> Option<Box<Will>> {
        let now = clock::now();
        if session.expiry_s != NEVER && session.expiry_s != 0 {
            let left = session.left_of(session.expiry_s);
            session.ends_at = Some(now + left);
            self.timers.set(left, Timer::SessionExpiry(session.queue));
        }
        let delay_s = session.will.as_ref()?.delay_s.min(session.expiry_s);
        let left = session.left_of(delay_s);
        if left.is_zero() {
            return session.will.take();
        }
        session.will_at = Some(now + left);
        self.timers.set(left, Timer::Will(session.queue));
        None
    }

    /// Has the journal know of a session, if it outlives its connection.
    fn record_session(&self, session: &Session, urgency: Urgency) -> Option<Position> {
        let is_lasting = session.expiry_s > 0;
        is_lasting.then(|| self.append(Kind::Session, urgency, |out| session.write(out)).at)
    }

    /// Ends a session whose time has come, unless its client is back.
    pub fn expire_session(&self, queue: QueueId) {
        let mut sessions = self.lock_sessions();
        let now = clock::now();
        let over = |session: &mut Session| {
            session.holder.is_none() && session.ends_at.is_some_and(|at| at <= now)
        };
        if !sessions.find(queue).is_some_and(|(_, session)| over(session)) {
            return;
        }
        let forgotten = sessions.forget(queue);
        self.delete_queue_by_id(queue);
        drop(sessions);
        if let Some((client, Session { will: Some(will), .. })) = forgotten {
            self.publish_will(&client.vhost, *will);
        }
    }

    /// Publishes a will whose delay is over, unless its client is back.
    pub fn publish_delayed_will(&self, queue: QueueId) {
        let mut sessions = self.lock_sessions();
        let Some((client, session)) = sessions.find(queue) else { return };
        let now = clock::now();
        if session.holder.is_some() || session.will_at.is_none_or(|at| at > now) {
            return;
        }
        if let Some(will) = session.will.take() {
            self.publish_will(&client.vhost, *will);
            self.record_session(session, Urgency::Lazy);
        }
    }

    /// Publishes a will, if its user may do that by now. Of a user of somebody outside, the answer when its
    /// client came holds.
    fn publish_will(&self, vhost: &Arc<str>, will: Will) {
        let Will { message, expiry_s, identity, client_id, .. } = will;
        let actor = identity.actor(vhost, Some(&client_id));
        let (exchange, key) = (message.exchange(), message.routing_key());
        let checked = self.topology().check_publish_by(actor, exchange, &[key]);
        if let Some(error) = checked.err().filter(|_| identity.is_internal()) {
            return tracing::info!(%client_id, %error, "a will is not published");
        }
        let timestamp_ms = clock::now_ms();
        let expires_at_ms = expiry_s.map(|expiry_s| timestamp_ms + u64::from(expiry_s) * 1000);
        let facts = Facts { timestamp_ms, expires_at_ms, ..message.facts() };
        self.publish_now(vhost, &Arc::new(message.with_facts(facts)));
    }

    /// The sessions that the journal knows, after a restart. Their clients are away: those that were
    /// connected since now. What was to end with its connection ends, as does what has expired.
    pub fn restore_sessions(&self) {
        let known: Vec<(QueueId, Client, u32)> = {
            let topology = self.topology();
            let queues = topology.vhosts().flat_map(|vhost| topology.queues(vhost));
            queues
                .filter_map(|queue| match &queue.spec.kind {
                    QueueKind::MqttSession { client_id, expiry_s } => {
                        let client = Client { vhost: queue.vhost.clone(), id: client_id.clone() };
                        Some((queue.id, client, *expiry_s))
                    }
                    QueueKind::Classic | QueueKind::Delay | QueueKind::History => None,
                })
                .collect()
        };
        let mut sessions = self.lock_sessions();
        let mut recorded = std::mem::take(&mut sessions.recorded);
        for (queue, client, expiry_s) in known {
            let (mut session, mut is_news) =
                Session::restored(queue, expiry_s, recorded.remove(&queue));
            let has_ended = session.left_of(expiry_s).is_zero();
            let will = if has_ended { session.will.take() } else { self.wait(&mut session) };
            if let Some(will) = will {
                self.publish_will(&client.vhost, *will);
                is_news = true;
            }
            if has_ended {
                self.delete_queue_by_id(queue);
                continue;
            }
            if is_news {
                self.record_session(&session, Urgency::Lazy);
            }
            sessions.clients.insert(queue, client.clone());
            sessions.by_client.insert(client, Box::new(session));
        }
    }

    /// The sessions, to be looked at or changed.
    pub fn lock_sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().expect("nothing panics while it holds the sessions")
    }
}

impl Session {
    /// What was recorded of a session. Says whether that has changed by the restart.
    fn restored(queue: QueueId, expiry_s: u32, recorded: Option<SessionRecord>) -> (Self, bool) {
        let now_ms = clock::now_ms();
        let since_ms = recorded.as_ref().and_then(|recorded| recorded.away_since_ms);
        let session = Session {
            queue,
            holder: None,
            expiry_s,
            will: recorded.and_then(|recorded| Will::read(recorded.will?).map(Box::new)),
            away_since_ms: Some(since_ms.unwrap_or(now_ms).min(now_ms)),
            will_at: None,
            ends_at: None,
        };
        (session, since_ms.is_none())
    }

    /// How much is left of so many seconds since its client has gone.
    fn left_of(&self, seconds: u32) -> Duration {
        if seconds == NEVER {
            return Duration::from_secs(NEVER.into());
        }
        let away_ms = self.away_since_ms.map_or(0, |since| clock::now_ms().saturating_sub(since));
        Duration::from_secs(seconds.into()).saturating_sub(Duration::from_millis(away_ms))
    }

    /// Writes its record; the large body of its will has to follow.
    pub fn write<'a>(&'a self, out: &mut Vec<u8>) -> Option<&'a Bytes> {
        // There is nobody to say after a restart what a user of somebody outside may do.
        let recorded = self.will.as_ref().filter(|will| will.identity.is_internal());
        let will = recorded.map(|will| WillParts {
            delay_s: will.delay_s,
            expiry_s: will.expiry_s,
            user: &will.identity.user,
            client_id: &will.client_id,
            message: &will.message,
        });
        record::write::session(out, self.queue, self.away_since_ms, will)
    }
}

impl Will {
    fn read(recorded: RecordedWill) -> Option<Self> {
        let RecordedWill { delay_s, expiry_s, user, client_id, message } = recorded;
        let message = message.into_message().ok()?;
        let identity = Identity::internal(user);
        Some(Will { message, delay_s, expiry_s, identity, client_id: client_id.into() })
    }
}

impl Sessions {
    /// The queues of all sessions, in no order.
    pub fn queues(&self) -> Vec<QueueId> {
        self.by_client.values().map(|session| session.queue).collect()
    }

    /// Those that outlive their connections, in no order.
    pub fn lasting(&self) -> impl Iterator<Item = &Session> {
        self.by_client.values().map(|session| &**session).filter(|session| session.expiry_s > 0)
    }

    /// A record of a session: it counts until the next one of the same.
    pub fn replay(&mut self, recorded: SessionRecord) {
        self.recorded.insert(recorded.queue, recorded);
    }

    fn find(&mut self, queue: QueueId) -> Option<(&Client, &mut Session)> {
        let client = self.clients.get(&queue)?;
        let session = self.by_client.get_mut(client)?;
        (session.queue == queue).then_some((client, session))
    }

    fn held_by(&mut self, queue: QueueId, consumer: ConsumerId) -> Option<(&Client, &mut Session)> {
        let is_holder = |session: &Session| {
            session.holder.as_ref().is_some_and(|holder| holder.consumer == consumer)
        };
        self.find(queue).filter(|(_, session)| is_holder(session))
    }

    fn remove(&mut self, client: &Client) -> Option<Session> {
        let session = self.by_client.remove(client)?;
        self.clients.remove(&session.queue);
        Some(*session)
    }

    fn forget(&mut self, queue: QueueId) -> Option<(Client, Session)> {
        let client = self.clients.remove(&queue)?;
        let session = self.by_client.remove(&client)?;
        Some((client, *session))
    }
}
