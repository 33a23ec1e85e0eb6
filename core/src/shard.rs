//! A shard: the queues that are executed one command at a time, and what they share.
//!
//! A publish takes two steps, so that a message is in the journal before it is anywhere else:
//! [`ShardState::place`] gives it its places, the executor records them if any is durable, and
//! [`ShardState::publish`] puts the message there. Recovery replays the records through
//! [`ShardState::replay`].

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::record::{Origin, Packet, Record, RecordedPlacement, Run};
use crate::{
    Effects, EntryIndex, Message, Placement, Position, Queue, QueueId, QueueSettings, Target,
};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct ShardState {
    queues: HashMap<QueueId, Queue, foldhash::fast::FixedState>,
    /// The QoS 2 packets of durable sessions that were published here and not released yet, with
    /// the record that says so.
    received: BTreeMap<Packet, Received>,
}

#[derive(Debug, Clone, Copy)]
struct Received {
    /// `None` if the message went to nothing durable: then a restart forgets the packet too.
    at: Option<Position>,
    shards: u16,
}

impl ShardState {
    /// A new queue.
    pub fn create(&mut self, id: QueueId, settings: QueueSettings) {
        self.queues.insert(id, Queue::new(id, settings));
    }

    /// A queue, while it exists.
    pub fn queue(&mut self, id: QueueId) -> Option<&mut Queue> {
        self.queues.get_mut(&id)
    }

    /// Ends a queue and forgets the QoS 2 packets of its session; gives the number of messages that
    /// waited, or `None` if the queue is not here. A session may have packets in every shard.
    pub fn delete(&mut self, id: QueueId, fx: &mut Effects) -> Option<usize> {
        self.forget_packets(id, fx);
        Some(self.queues.remove(&id)?.close(fx))
    }

    /// Gives a message its places in the queues of this shard. A packet that was published before
    /// (a QoS 2 publisher that repeats itself after a crash) gets none.
    pub fn place(
        &mut self,
        targets: &[Target],
        message: &Message,
        origin: Option<Origin>,
        placements: &mut Vec<Placement>,
    ) {
        if origin.is_some_and(|origin| self.received.contains_key(&origin.packet)) {
            return;
        }
        for target in targets {
            let Some(queue) = self.queues.get_mut(&target.queue) else { continue };
            placements.extend(queue.place(message, target.subscription.clone(), false));
        }
    }

    /// Puts a message into its places and hands it out where a consumer waits. `position` is the
    /// record of the message, if any place is durable.
    pub fn publish(
        &mut self,
        now_ms: u64,
        placements: &mut Vec<Placement>,
        message: &Arc<Message>,
        position: Option<Position>,
        fx: &mut Effects,
    ) {
        for placement in placements.drain(..) {
            let Some(queue) = self.queues.get_mut(&placement.queue) else { continue };
            queue.publish(placement, message.clone(), position, fx);
            queue.pump(now_ms, fx);
        }
    }

    /// Remembers a QoS 2 packet until it is released.
    pub fn remember(&mut self, origin: Origin, at: Option<Position>) {
        self.received.insert(origin.packet, Received { at, shards: origin.shards });
    }

    /// The QoS 2 packets of a session that were published here and not released, in order, each with
    /// the number of shards that have it if its publish was completed.
    pub fn received_from(&self, session: QueueId) -> Vec<(Packet, u16)> {
        self.packets_of(session).map(|(&packet, received)| (packet, received.shards)).collect()
    }

    /// The last record that remembers a packet of a session.
    pub fn received_until(&self, session: QueueId) -> Option<Position> {
        self.packets_of(session).filter_map(|(_, received)| received.at).max()
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

    /// Applies a record of this shard when the broker starts. `message_at` reads the message that
    /// an `Enqueue` refers to.
    pub fn replay(
        &mut self,
        at: Position,
        record: Record,
        message_at: &mut dyn FnMut(Position) -> Option<Arc<Message>>,
        fx: &mut Effects,
    ) -> Vec<Position> {
        match record {
            Record::Publish { origin, placements, message } => {
                self.replay_publish(at, origin, placements, &Arc::new(message), fx)
            }
            Record::Enqueue { origin, placements, at } => match message_at(at) {
                Some(message) => self.replay_publish(at, origin, placements, &message, fx),
                None => Vec::new(),
            },
            Record::Settle { queue, runs } => self.each(queue, &runs, fx, Queue::replay_settle),
            Record::Deliver { queue, runs } => {
                self.each(queue, &runs, fx, |queue, index, _| queue.replay_deliver(index))
            }
            Record::Receive { queue, runs } => self.each(queue, &runs, fx, Queue::replay_receive),
            Record::Release(packet) => {
                self.release(packet, fx);
                Vec::new()
            }
            Record::Purge { queue, before, kept } => {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.replay_purge(before, &kept, fx);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Gives the record's position once for every reference that was made to it.
    fn replay_publish(
        &mut self,
        at: Position,
        origin: Option<Origin>,
        placements: Vec<RecordedPlacement>,
        message: &Arc<Message>,
        fx: &mut Effects,
    ) -> Vec<Position> {
        let mut references = Vec::new();
        for RecordedPlacement(placement) in placements {
            let Some(queue) = self.queues.get_mut(&placement.queue) else { continue };
            queue.replay_publish(placement, message.clone(), at, fx);
            references.push(at);
        }
        let is_new = |origin: &Origin| !self.received.contains_key(&origin.packet);
        if let Some(origin) = origin.filter(is_new).filter(|_| !references.is_empty()) {
            self.remember(origin, Some(at));
            references.push(at);
        }
        references
    }

    fn each(
        &mut self,
        queue: QueueId,
        runs: &[Run],
        fx: &mut Effects,
        apply: impl Fn(&mut Queue, EntryIndex, &mut Effects),
    ) -> Vec<Position> {
        if let Some(queue) = self.queues.get_mut(&queue) {
            for &run in runs {
                queue.replay_run(run, |queue, index| apply(queue, index, fx));
            }
        }
        Vec::new()
    }
}
