//! A shard: the queues that are executed one command at a time, and what they share.
//!
//! A publish takes two steps, so that a message is in the journal before it is anywhere else:
//! [`ShardState::place`] gives it its places, the executor records them if any is durable, and
//! [`ShardState::publish`] puts the message there. Recovery replays the records through
//! [`ShardState::replay`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::record::{
    Malformed, Origin, Packet, Placements, Record, RecordedMessage, RecordedPlacement,
    RememberedPacket, Run,
};
use crate::{
    Effects, EntryIndex, Message, Placement, Position, Queue, QueueId, QueueSettings, Reference,
    RestoreFrom, Restored, Target,
};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct ShardState {
    /// Each in memory of its own: a queue is large, and tables are half empty.
    queues: HashMap<QueueId, Box<Queue>, foldhash::fast::FixedState>,
    /// The QoS 2 packets of durable sessions that were published here and not released yet, with
    /// the record that says so.
    received: BTreeMap<Packet, Received>,
    /// Earlier records say nothing new about packets.
    packets_as_of: Position,
    /// The queues that were published to and not pumped since.
    published: Vec<QueueId>,
}

/// What has become of a message beside its places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placed {
    /// A queue has no room for it.
    pub is_refused: bool,
    /// A queue has taken it before: it is promised as soon as that one is.
    pub is_repeated: bool,
}

#[derive(Debug, Clone, Copy)]
struct Received {
    /// `None` if the message went to nothing durable: then a restart forgets the packet too.
    at: Option<Reference>,
    shards: u16,
}

impl ShardState {
    /// A new queue.
    pub fn create(&mut self, id: QueueId, settings: QueueSettings) {
        self.queues.insert(id, Box::new(Queue::new(id, settings)));
    }

    /// A queue, while it exists.
    pub fn queue(&mut self, id: QueueId) -> Option<&mut Queue> {
        self.queues.get_mut(&id).map(|queue| &mut **queue)
    }

    /// Ends a queue and forgets the QoS 2 packets of its session; gives the number of messages that
    /// waited, or `None` if the queue is not here. A session may have packets in every shard.
    pub fn delete(&mut self, id: QueueId, fx: &mut Effects) -> Option<usize> {
        self.forget_packets(id, fx);
        Some(self.queues.remove(&id)?.close(fx))
    }

    /// Gives a message its places in the queues of this shard. A packet that was published before
    /// (a QoS 2 publisher that repeats itself after a crash) gets none, and none in a queue that
    /// has taken a message of this name before.
    pub fn place(
        &mut self,
        targets: &[Target],
        message: &Arc<Message>,
        origin: Option<Origin>,
        placements: &mut Vec<Placement>,
        fx: &mut Effects,
    ) -> Placed {
        let mut placed = Placed::default();
        if origin.is_some_and(|origin| self.received.contains_key(&origin.packet)) {
            return placed;
        }
        let now_ms = message.facts().timestamp_ms;
        for target in targets {
            let Some(queue) = self.queues.get_mut(&target.queue) else { continue };
            let name = target.deduplication.as_ref();
            if name.is_some_and(|name| queue.has_taken(name, now_ms)) {
                placed.is_repeated = true;
                continue;
            }
            if !queue.has_room_for(1, message.body().len() as u64) {
                queue.refuse(message, fx);
                placed.is_refused = true;
                continue;
            }
            name.into_iter().for_each(|name| queue.remember(name, now_ms));
            placements.extend(queue.place(message, target.subscription.clone(), false));
        }
        placed
    }

    /// Whether a queue of this shard takes so many messages at once, with so many bytes of bodies; one that
    /// is not here does.
    pub fn has_room(&self, queue: QueueId, len: u64, body_bytes: u64) -> bool {
        self.queues.get(&queue).is_none_or(|queue| queue.has_room_for(len, body_bytes))
    }

    /// Puts a message into its places and hands it out where a consumer waits. `reference` is to
    /// the record of the message, if any place is durable. A batch of them ends with
    /// [`ShardState::pump_published`].
    pub fn publish(
        &mut self,
        now_ms: u64,
        placements: &mut Vec<Placement>,
        message: Arc<Message>,
        reference: Option<Reference>,
        fx: &mut Effects,
    ) {
        let last = placements.pop();
        for placement in placements.drain(..) {
            self.publish_at(now_ms, placement, message.clone(), reference, fx);
        }
        if let Some(placement) = last {
            self.publish_at(now_ms, placement, message, reference, fx);
        }
    }

    fn publish_at(
        &mut self,
        now_ms: u64,
        placement: Placement,
        message: Arc<Message>,
        reference: Option<Reference>,
        fx: &mut Effects,
    ) {
        let id = placement.queue;
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if queue.publish(placement, message, reference, now_ms, fx) {
            self.published.push(id);
        }
    }

    /// Pumps the queues that were published to. Gives those that the publisher should wait for, as
    /// long as [`Queue::is_behind`] says so.
    pub fn pump_published(&mut self, now_ms: u64, fx: &mut Effects) -> SmallVec<[QueueId; 2]> {
        let mut outpaced = SmallVec::new();
        for id in self.published.drain(..) {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.pump(now_ms, fx);
                outpaced.extend(queue.is_outpaced(now_ms).then_some(id));
            }
        }
        outpaced
    }

    /// Remembers a QoS 2 packet until it is released.
    pub fn remember(&mut self, origin: Origin, at: Option<Reference>) {
        self.received.insert(origin.packet, Received { at, shards: origin.shards });
    }

    /// The QoS 2 packets of a session that were published here and not released, in order, each with
    /// the number of shards that have it if its publish was completed.
    pub fn received_from(&self, session: QueueId) -> Vec<(Packet, u16)> {
        self.packets_of(session).map(|(&packet, received)| (packet, received.shards)).collect()
    }

    /// The last record that remembers a packet of a session.
    pub fn received_until(&self, session: QueueId) -> Option<Position> {
        self.packets_of(session).filter_map(|(_, received)| received.at).map(|at| at.at).max()
    }

    /// Forgets all packets of a session.
    pub fn forget_packets(&mut self, session: QueueId, fx: &mut Effects) {
        for (packet, _) in self.received_from(session) {
            self.release(packet, fx);
        }
    }

    fn packets_of(&self, session: QueueId) -> impl Iterator<Item = (&Packet, &Received)> {
        let packet = |packet_id| Packet { session, packet_id };
        self.received.range(packet(0)..=packet(u16::MAX))
    }

    /// Forgets the QoS 2 packets of sessions that are gone. A start has to ask: the end of a session
    /// may be in the snapshot, and its packets in records before it.
    pub fn forget_sessions(&mut self, is_gone: impl Fn(QueueId) -> bool, fx: &mut Effects) {
        let gone: Vec<Packet> =
            self.received.keys().filter(|packet| is_gone(packet.session)).copied().collect();
        for packet in gone {
            self.release(packet, fx);
        }
    }

    /// Forgets a QoS 2 packet; says whether it was recorded, so that this has to be as well.
    pub fn release(&mut self, packet: Packet, fx: &mut Effects) -> bool {
        let recorded = self.received.remove(&packet).and_then(|received| received.at);
        fx.released.extend(recorded);
        recorded.is_some()
    }

    /// Applies a record of this shard when the broker starts, unless the state of what it concerns
    /// is of a later time. `read` reads the records that it refers to. References that are made are
    /// in [`Effects::retained`].
    pub fn replay(&mut self, at: Position, record: Record, read: ReadRecord<'_>, fx: &mut Effects) {
        match record {
            Record::Publish { origin, placements, message } => {
                self.replay_publish(at, (at, &message), (origin, placements), fx);
            }
            Record::Enqueue { origin, placements, at: body } => {
                if let Some(message) = read(body).and_then(Record::into_message) {
                    self.replay_publish(at, (body, &message), (origin, placements), fx);
                }
            }
            Record::Commit { enqueued, settled } => {
                for (placements, body) in enqueued {
                    let enqueue = Record::Enqueue { origin: None, placements, at: body };
                    self.replay(at, enqueue, read, fx);
                }
                for (queue, runs) in settled {
                    self.each(at, (queue, &runs), read, fx, Queue::replay_settle);
                }
            }
            Record::Settle { queue, runs } => {
                self.each(at, (queue, &runs), read, fx, Queue::replay_settle);
            }
            Record::Deliver { queue, runs } => {
                self.each(at, (queue, &runs), read, fx, |queue, index, _| {
                    queue.replay_deliver(index);
                });
            }
            Record::Receive { queue, runs } => {
                self.each(at, (queue, &runs), read, fx, |queue, index, _| {
                    queue.replay_receive(index);
                });
            }
            Record::Release(packet) if at >= self.packets_as_of => _ = self.release(packet, fx),
            Record::Purge { queue, before, kept } => {
                if let Some(queue) = self.replayed(at, queue) {
                    queue.replay_purge(
                        before,
                        &kept,
                        &mut |at| read(at).and_then(page_entries),
                        fx,
                    );
                }
            }
            _ => {}
        }
    }

    /// A queue, if a record at this position is news to it.
    fn replayed(&mut self, at: Position, queue: QueueId) -> Option<&mut Queue> {
        self.queue(queue).filter(|queue| at >= queue.as_of())
    }

    /// `at` is the record that places the message, which is in the record at `body`.
    fn replay_publish(
        &mut self,
        at: Position,
        (body, message): (Position, &RecordedMessage),
        (origin, placements): (Option<Origin>, Placements),
        fx: &mut Effects,
    ) {
        let reference = Reference::new(body, message.payload_len(), placements.len());
        let mut is_placed = false;
        for RecordedPlacement(placement) in placements {
            let Some(queue) = self.queues.get_mut(&placement.queue) else { continue };
            is_placed = true;
            if at >= queue.as_of() {
                queue.replay_publish(placement, message, reference, fx);
                fx.retained.push(reference);
            }
        }
        let is_new = |origin: &Origin| !self.received.contains_key(&origin.packet);
        if let Some(origin) =
            origin.filter(is_new).filter(|_| is_placed && at >= self.packets_as_of)
        {
            self.remember(origin, Some(reference));
            fx.retained.push(reference);
        }
    }

    fn each(
        &mut self,
        at: Position,
        (queue, runs): (QueueId, &[Run]),
        read: ReadRecord<'_>,
        fx: &mut Effects,
        apply: impl Fn(&mut Queue, EntryIndex, &mut Effects),
    ) {
        let Some(queue) = self.replayed(at, queue) else { return };
        for &run in runs {
            queue.replay_through(run.last(), &mut |at| read(at).and_then(page_entries), fx);
            queue.replay_run(run, |queue, index| apply(queue, index, fx));
        }
    }

    /// Takes a queue from a snapshot, in the place of the empty one that its declaration has made.
    /// `as_of` is the position whose state it is.
    ///
    /// # Errors
    /// If the state is not one.
    pub fn restore(
        &mut self,
        id: QueueId,
        (as_of, state): (Position, &Bytes),
        journal: &mut dyn RestoreFrom,
        fx: &mut Effects,
    ) -> Result<Restored, Malformed> {
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(Restored::default()) };
        let declared = (id, queue.settings());
        let (restored, outcome) = Queue::restore(declared, as_of, state, journal, fx)?;
        **queue = restored;
        Ok(outcome)
    }

    /// Takes the QoS 2 packets of a shard from a snapshot; earlier records do not change them. If
    /// there were more shards then, there are several; to see a record twice does no harm.
    pub fn restore_packets(
        &mut self,
        as_of: Position,
        packets: Vec<RememberedPacket>,
        fx: &mut Effects,
    ) {
        self.packets_as_of = match self.packets_as_of {
            Position(0) => as_of,
            other => other.min(as_of),
        };
        for RememberedPacket { origin, at } in packets {
            self.remember(origin, Some(at));
            fx.retained.push(at);
        }
    }

    /// The QoS 2 packets that a restart has to know.
    pub fn recorded_packets(&self) -> Vec<RememberedPacket> {
        let recorded = self.received.iter().filter_map(|(&packet, received)| {
            let origin = Origin { packet, shards: received.shards };
            Some(RememberedPacket { origin, at: received.at? })
        });
        recorded.collect()
    }

    /// The queues of this shard, in no order.
    pub fn queue_ids(&self) -> Vec<QueueId> {
        self.queues.keys().copied().collect()
    }

    /// Has pages that a replay has made put into the journal.
    pub fn page_out(&mut self, fx: &mut Effects) {
        self.queues.values_mut().for_each(|queue| queue.page_out(fx));
    }
}

/// Reads a record that another one refers to.
pub type ReadRecord<'a> = &'a mut dyn FnMut(Position) -> Option<Record>;

/// The entries of a page.
pub(crate) fn page_entries(record: Record) -> Option<Bytes> {
    match record {
        Record::Page { entries, .. } => Some(entries),
        _ => None,
    }
}
