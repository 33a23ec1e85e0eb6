//! Retained messages of all vhosts, and their records.
//!
//! What a subscription brings may be every one of them. It is put into the session's queue a batch at
//! a time, so that the rest is where it is anyway, and the journal keeps up. How far that has come
//! belongs to the session: whichever connection holds it goes on. A restart forgets it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashMap;

use leveret_core::record::{self, Kind};
use leveret_core::{
    Message, Pattern, Placement, Position, QueueId, Reference, Retained, Subscription,
};
use leveret_storage::Urgency;

use super::limits::Limit;
use super::shard::Work;
use super::{Node, clock};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct RetainedStore {
    vhosts: Mutex<BTreeMap<Arc<str>, Retained>>,
    /// What sessions have not got yet, by their queues.
    due: Mutex<HashMap<QueueId, Due>>,
}

/// What subscriptions of a session bring and have not brought yet, in their order.
pub type Due = VecDeque<DueRetained>;

/// The retained messages that a subscription brings.
#[derive(Debug)]
pub struct DueRetained {
    vhost: Arc<str>,
    /// The binding key of the subscription.
    key: Box<str>,
    subscription: Arc<Subscription>,
    /// The key of the last one that it has brought.
    after: Option<Box<str>>,
}

impl DueRetained {
    /// All that match the binding key of a subscription.
    pub fn new(vhost: Arc<str>, key: Box<str>, subscription: Arc<Subscription>) -> Self {
        DueRetained { vhost, key, subscription, after: None }
    }
}

/// There is as much as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts are the documentation")]
pub enum TooManyRetained {
    #[error("there are as many retained messages as there may be")]
    Messages,
    #[error("retained messages take as much memory as they may")]
    Bytes,
}

impl RetainedStore {
    /// The retained messages by vhost.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Retained>> {
        self.vhosts.lock().expect("nothing panics while it holds the retained messages")
    }

    /// Takes what is due to a session.
    pub fn take_due(&self, session: QueueId) -> Option<Due> {
        self.lock_due().remove(&session)
    }

    /// Keeps what is due to a session, in front of what others have put there meanwhile.
    fn keep_due(&self, session: QueueId, mut due: Due) {
        let mut all = self.lock_due();
        let kept = all.entry(session).or_default();
        due.append(kept);
        *kept = due;
    }

    fn lock_due(&self) -> MutexGuard<'_, HashMap<QueueId, Due>> {
        self.due.lock().expect("nothing panics while it holds what is due")
    }
}

impl From<TooManyRetained> for Limit {
    fn from(error: TooManyRetained) -> Self {
        match error {
            TooManyRetained::Messages => Limit::Retained,
            TooManyRetained::Bytes => Limit::RetainedSize,
        }
    }
}

fn totals(vhosts: &BTreeMap<Arc<str>, Retained>) -> (usize, usize) {
    let stores = vhosts.values().map(|store| (store.len(), store.bytes()));
    stores.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

impl Node {
    /// Replaces the retained message of the message's routing key, or removes it if the body is
    /// empty. Gives what has to be durable before the publisher is told.
    ///
    /// # Errors
    /// If it would be one too many.
    pub fn retain(
        &self,
        vhost: &Arc<str>,
        message: &Arc<Message>,
    ) -> Result<Option<Position>, TooManyRetained> {
        let mut vhosts = self.retained.lock();
        let key = message.routing_key();
        let store = vhosts.entry(vhost.clone()).or_default();
        if message.body().is_empty() {
            return Ok(store.remove(key).map(|kept| {
                let appended = self.append(Kind::Unretain, Urgency::Promise, |out| {
                    record::write::unretain(out, vhost, key);
                    None
                });
                kept.at.into_iter().for_each(|reference| self.storage.release(reference));
                appended.at
            }));
        }
        let before = store.get(key, 0).map(|kept| kept.size_bytes());
        let (count, bytes) = totals(&vhosts);
        self.check_room(message, before, (count, bytes))
            .inspect_err(|error| self.refusals.note((*error).into()))?;
        let store = vhosts.entry(vhost.clone()).or_default();
        Ok(Some(self.record_retained(vhost, store, message)))
    }

    /// `before` is the size of the message that this one takes the place of.
    fn check_room(
        &self,
        message: &Message,
        before: Option<usize>,
        (count, bytes): (usize, usize),
    ) -> Result<(), TooManyRetained> {
        if before.is_none() && count >= self.config.mqtt_retained_max as usize {
            return Err(TooManyRetained::Messages);
        }
        let grows = message.size_bytes().saturating_sub(before.unwrap_or(0));
        match grows > 0 && bytes + grows > self.config.mqtt_retained_size_max.len() {
            true => Err(TooManyRetained::Bytes),
            false => Ok(()),
        }
    }

    /// How many retained messages there are, and their size in memory.
    pub fn retained_totals(&self) -> (u64, u64) {
        let (count, bytes) = totals(&self.retained.lock());
        (count as u64, bytes as u64)
    }

    /// Puts a retained message into the journal and into its place. Gives where it is.
    pub(super) fn record_retained(
        &self,
        vhost: &str,
        store: &mut Retained,
        message: &Arc<Message>,
    ) -> Position {
        let write = |out: &mut Vec<u8>| record::write::retain(out, vhost, message);
        let appended = self.append(Kind::Retain, Urgency::Promise, write);
        self.replace_retained(store, message, appended.reference(1));
        appended.at
    }

    /// Puts a retained message into its place, and releases the record of the one before.
    pub(super) fn replace_retained(
        &self,
        store: &mut Retained,
        message: &Arc<Message>,
        reference: Reference,
    ) {
        self.storage.retain(reference, 1);
        let before = store.set(message.routing_key(), message.clone(), Some(reference));
        before.and_then(|kept| kept.at).into_iter().for_each(|at| self.storage.release(at));
    }

    /// Puts a batch of retained messages into a session's queue. Says whether there are more, which are
    /// due from then on.
    pub fn bring_retained(&self, session: QueueId, mut due: Due) -> bool {
        let (mut len, mut bytes) = (0, 0);
        while len < BATCH_LEN
            && bytes < BATCH_BYTES
            && let Some(mut first) = due.pop_front()
        {
            let messages = self.next_retained(&mut first, (BATCH_LEN - len, BATCH_BYTES - bytes));
            len += messages.len();
            bytes += messages.iter().map(|message| message.size_bytes()).sum::<usize>();
            self.deliver_retained(session, &first.subscription, &messages);
            if first.after.is_some() {
                due.push_front(first);
            }
        }
        if due.is_empty() {
            return false;
        }
        // Whoever deletes the queue forgets what is due as well, and cannot while this is held.
        let topology = self.topology();
        let is_there = topology.queue_by_id(session).is_some();
        if is_there {
            self.retained.keep_due(session, due);
        }
        is_there
    }

    /// The next retained messages of a subscription, until they are so many or have so many bytes, and
    /// where to go on, if that is not the end.
    fn next_retained(
        &self,
        due: &mut DueRetained,
        (len_max, bytes_max): (usize, usize),
    ) -> Vec<Arc<Message>> {
        let vhosts = self.retained.lock();
        let after = due.after.take();
        let Some(store) = vhosts.get(&due.vhost) else { return Vec::new() };
        let pattern = Pattern::mqtt(&due.key);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for (key, message) in store.matching_after(pattern, after.as_deref(), clock::now_ms()) {
            bytes += message.size_bytes();
            messages.push(message.clone());
            if messages.len() >= len_max || bytes >= bytes_max {
                due.after = Some(key.into());
                break;
            }
        }
        messages
    }

    fn deliver_retained(
        &self,
        queue: QueueId,
        subscription: &Arc<Subscription>,
        messages: &[Arc<Message>],
    ) {
        if messages.is_empty() {
            return;
        }
        self.shard_of(queue).post(|work| {
            for message in messages {
                let Some(target) = work.state.queue(queue) else { return };
                let Some(placement) = target.place(message, Some(subscription.clone()), true)
                else {
                    continue;
                };
                let recorded = work.record_placed(message, std::slice::from_ref(&placement));
                let (placements, message) = (&mut vec![placement], message.clone());
                work.state.publish(work.now_ms, placements, message, recorded, &mut work.fx);
            }
            work.state.pump_published(work.now_ms, &mut work.fx);
        });
    }
}

/// How many messages are put into a queue at a time.
const BATCH_LEN: usize = 1024;

/// Their size at which there are no more of them, in bytes.
const BATCH_BYTES: usize = 1024 * 1024;

impl Work {
    /// Records a message for one queue, if its place there is durable.
    fn record_placed(&mut self, message: &Message, placements: &[Placement]) -> Option<Reference> {
        if !placements.iter().any(|placement| placement.durable) {
            return None;
        }
        let appended = self.journal.append(Kind::Publish, Urgency::Lazy, |out| {
            record::write::publish(out, None, placements, message)
        });
        Some(self.journal.retain(appended.reference(1), 1))
    }
}
