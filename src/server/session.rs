//! MQTT sessions: who holds which, and what happens when its client comes, goes and stays away.
//!
//! A session is a queue with the client's subscriptions as bindings. This registry knows what a
//! queue cannot: the connection that holds it, the will, and the time at which it ends. A connection
//! that lost its session to another one changes nothing any more: every step names the consumer
//! that takes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use leveret_core::{
    ConnectionId, ConsumerId, ConsumerOptions, EntryIndex, Message, Placement, Position, QueueId,
    QueueKind, QueueSpec, Reference, Subscription, TopologyCommand, TopologyError,
};

use super::outbox::{CloseReason, Notice, Outbox};
use super::timers::Timer;
use super::{DEFAULT_VHOST, Node, clock};

/// A session that ends at no time by itself.
pub const NEVER: u32 = u32::MAX;

/// What the queue of a session is called, with the client identifier behind it.
pub const QUEUE_PREFIX: &str = "mqtt.";

/// All sessions of a node.
#[derive(Debug, Default)]
pub struct Sessions {
    by_client: HashMap<Arc<str>, Session>,
    clients: HashMap<QueueId, Arc<str>>,
}

#[derive(Debug)]
struct Session {
    queue: QueueId,
    holder: Option<Holder>,
    /// In seconds; [`NEVER`] is for ever.
    expiry_s: u32,
    will: Option<Will>,
    /// While nobody holds it: when its will is due, and when it ends.
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
    /// The message.
    pub message: Arc<Message>,
    /// How long it waits for the client to come back, in seconds.
    pub delay_s: u32,
}

/// A client that wants its session.
#[derive(Debug)]
pub struct Opening {
    /// The client identifier.
    pub client_id: Arc<str>,
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
        let old = sessions.remove(&opening.client_id).filter(exists);
        let mut due = None;
        let resumed = old.and_then(|mut old| {
            if let Some(holder) = &old.holder {
                holder.outbox.notify(Notice::Close(CloseReason::TakenOver));
            }
            let ends = opening.clean_start || old.expiry_s == 0;
            let will = old.will.take();
            due = will.filter(|will| ends || (old.holder.is_some() && will.delay_s == 0));
            if ends {
                self.delete_queue_by_id(old.queue);
            }
            (!ends).then_some(old)
        });
        let consumer = ConsumerId { connection: opening.connection, number: 1 };
        let opened = match resumed {
            Some(old) => self.resume(&old, consumer, opening.expiry_s)?,
            None => self.begin(&opening, consumer)?,
        };
        let queue = opened.queue;
        self.shard_of(queue).attach(opening.connection, &opening.outbox);
        sessions.clients.insert(queue, opening.client_id.clone());
        let session = Session {
            queue,
            holder: Some(Holder { consumer, outbox: opening.outbox }),
            expiry_s: opening.expiry_s,
            will: opening.will,
            will_at: None,
            ends_at: None,
        };
        sessions.by_client.insert(opening.client_id, session);
        drop(sessions);
        if let Some(will) = due {
            self.publish_will(&will);
        }
        Ok(opened)
    }

    fn begin(&self, opening: &Opening, consumer: ConsumerId) -> Result<Opened, TopologyError> {
        let client_id = opening.client_id.clone();
        let name = format!("{QUEUE_PREFIX}{client_id}");
        let spec = QueueSpec {
            durable: opening.expiry_s > 0,
            kind: QueueKind::MqttSession { client_id, expiry_s: opening.expiry_s },
            ..QueueSpec::default()
        };
        let (queue, commanded) = self.declare_queue(&DEFAULT_VHOST.into(), &name, spec, true)?;
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
        let now_ms = clock::now_ms();
        self.shard_of(queue).post(|work| {
            let Some(queue) = work.state.queue(queue) else { return false };
            let started = queue.consume(consumer, options).is_ok();
            queue.pump(now_ms, &mut work.fx);
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
        let Some(session) = sessions.held_by(queue, consumer) else { return };
        session.holder = None;
        if let Some(expiry_s) = expiry_s.filter(|&expiry_s| expiry_s != session.expiry_s) {
            session.expiry_s = expiry_s;
            // It is gone if the topology does not know it any more.
            _ = self.command(TopologyCommand::SetSessionExpiry { id: queue, expiry_s });
        }
        self.shard_of(queue).post(|work| {
            if let Some(queue) = work.state.queue(queue) {
                queue.detach(consumer, &mut work.fx);
            }
        });
        session.will = session.will.take().filter(|_| will);
        let due = self.wait(session);
        if session.expiry_s == 0 {
            sessions.forget(queue);
            self.delete_queue_by_id(queue);
        }
        drop(sessions);
        if let Some(will) = due {
            self.publish_will(&will);
        }
    }

    /// Sets the timers of a session that nobody holds. Gives its will if it is due now.
    fn wait(&self, session: &mut Session) -> Option<Will> {
        let now = clock::now();
        let expiry = Duration::from_secs(session.expiry_s.into());
        if session.expiry_s != NEVER && session.expiry_s != 0 {
            session.ends_at = Some(now + expiry);
            self.timers.set(expiry, Timer::SessionExpiry(session.queue));
        }
        let delay = session.will.as_ref()?.delay_s.min(session.expiry_s);
        if delay == 0 {
            return session.will.take();
        }
        let delay = Duration::from_secs(delay.into());
        session.will_at = Some(now + delay);
        self.timers.set(delay, Timer::Will(session.queue));
        None
    }

    /// Ends a session whose time has come, unless its client is back.
    pub fn expire_session(&self, queue: QueueId) {
        let mut sessions = self.lock_sessions();
        let now = clock::now();
        let over = |session: &mut Session| {
            session.holder.is_none() && session.ends_at.is_some_and(|at| at <= now)
        };
        if !sessions.find(queue).is_some_and(over) {
            return;
        }
        let will = sessions.forget(queue).and_then(|session| session.will);
        self.delete_queue_by_id(queue);
        drop(sessions);
        if let Some(will) = will {
            self.publish_will(&will);
        }
    }

    /// Publishes a will whose delay is over, unless its client is back.
    pub fn publish_delayed_will(&self, queue: QueueId) {
        let will = {
            let mut sessions = self.lock_sessions();
            let Some(session) = sessions.find(queue) else { return };
            let now = clock::now();
            if session.holder.is_some() || session.will_at.is_none_or(|at| at > now) {
                return;
            }
            session.will.take()
        };
        if let Some(will) = will {
            self.publish_will(&will);
        }
    }

    fn publish_will(&self, will: &Will) {
        self.publish_now(&DEFAULT_VHOST.into(), &will.message);
    }

    /// The sessions that the journal knows, after a restart. Their clients are away; those that were
    /// to end with their connection end.
    pub fn restore_sessions(&self) {
        let known: Vec<(QueueId, Arc<str>, u32)> = self
            .topology()
            .queues(DEFAULT_VHOST)
            .into_iter()
            .filter_map(|queue| match &queue.spec.kind {
                QueueKind::MqttSession { client_id, expiry_s } => {
                    Some((queue.id, client_id.clone(), *expiry_s))
                }
                QueueKind::Classic => None,
            })
            .collect();
        let mut sessions = self.lock_sessions();
        for (queue, client_id, expiry_s) in known {
            if expiry_s == 0 {
                self.delete_queue_by_id(queue);
                continue;
            }
            let mut session =
                Session { queue, holder: None, expiry_s, will: None, will_at: None, ends_at: None };
            self.wait(&mut session);
            sessions.clients.insert(queue, client_id.clone());
            sessions.by_client.insert(client_id, session);
        }
    }

    /// Delivers retained messages to a session, because of a subscription.
    pub fn deliver_retained(
        &self,
        queue: QueueId,
        subscription: &Arc<Subscription>,
        messages: &[Arc<Message>],
    ) {
        let now_ms = clock::now_ms();
        self.shard_of(queue).post(|work| {
            for message in messages {
                let Some(target) = work.state.queue(queue) else { return };
                let Some(placement) = target.place(message, Some(subscription.clone()), true)
                else {
                    continue;
                };
                let recorded = work.record_placed(message, std::slice::from_ref(&placement));
                work.state.publish(now_ms, &mut vec![placement], message, recorded, &mut work.fx);
            }
        });
    }

    fn lock_sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().expect("nothing panics while it holds the sessions")
    }
}

impl super::shard::Work {
    /// Records a message for one queue, if its place there is durable.
    fn record_placed(&mut self, message: &Message, placements: &[Placement]) -> Option<Reference> {
        use leveret_core::record::{self, Kind};
        if !placements.iter().any(|placement| placement.durable) {
            return None;
        }
        let appended = self.journal.append(Kind::Publish, leveret_storage::Urgency::Lazy, |out| {
            record::write::publish(out, None, placements, message)
        });
        Some(self.journal.retain(appended.reference(1), 1))
    }
}

impl Sessions {
    fn find(&mut self, queue: QueueId) -> Option<&mut Session> {
        let client = self.clients.get(&queue)?;
        self.by_client.get_mut(client).filter(|session| session.queue == queue)
    }

    fn held_by(&mut self, queue: QueueId, consumer: ConsumerId) -> Option<&mut Session> {
        self.find(queue)
            .filter(|session| session.holder.as_ref().is_some_and(|h| h.consumer == consumer))
    }

    fn remove(&mut self, client_id: &str) -> Option<Session> {
        let session = self.by_client.remove(client_id)?;
        self.clients.remove(&session.queue);
        Some(session)
    }

    fn forget(&mut self, queue: QueueId) -> Option<Session> {
        let client = self.clients.remove(&queue)?;
        self.by_client.remove(&client)
    }
}
