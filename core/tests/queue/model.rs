//! What a queue is, as naively as it can be said: entries in a sorted map. It does not predict what
//! the queue does next but judges what it has done, so it need not know which messages are in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use leveret_core::{
    ConsumerId, Delivery, EntryIndex, Message, QueueId, QueueSettings, QueueStats, Settlement,
};

/// One queue, with the consumers in the order in which they came.
#[derive(Debug)]
pub struct Model {
    pub id: QueueId,
    pub settings: QueueSettings,
    pub entries: BTreeMap<u64, Entry>,
    pub consumers: Vec<Consumer>,
    pub next_index: u64,
    pub next_sequence: u64,
    /// One more than what the journal knows.
    pub recorded_index: u64,
    pub recorded_sequence: u64,
    /// Who is asked first, by its place.
    turn: usize,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub text: String,
    pub size_bytes: usize,
    pub priority: u8,
    pub durable: bool,
    /// `None`: from an AMQP binding.
    pub qos: Option<u8>,
    pub sequence: u64,
    pub expires_at_ms: Option<u64>,
    pub was_delivered: bool,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Ready,
    /// It waited until it expired; the queue may have dropped it or not.
    Expired,
    /// `counted` is whether it takes a place of the consumer's prefetch.
    Held {
        by: ConsumerId,
        counted: bool,
        shared: bool,
        received: bool,
    },
    /// Received, by a receiver that is away.
    Away,
}

#[derive(Debug, Clone)]
pub struct Consumer {
    pub id: ConsumerId,
    pub no_ack: bool,
    pub exclusive: bool,
    pub shares: bool,
    pub prefetch: u32,
    pub window_bytes: i64,
    /// On their way to the socket.
    pub unwritten_bytes: i64,
}

/// The prefetch limit that consumers of several queues share.
#[derive(Debug, Default)]
pub struct Shared {
    pub limit: u32,
    pub used: u32,
}

/// What the journal has to hear of a batch: the entries, in any order.
#[derive(Debug, Default)]
pub struct Expected {
    pub handed_out: Vec<(QueueId, u64)>,
    pub settled: Vec<(QueueId, u64)>,
}

impl Entry {
    fn needs_settlement(&self) -> bool {
        self.qos.is_none_or(|qos| qos > 0)
    }

    fn is_expired(&self, now_ms: u64) -> bool {
        let is_begun = self.qos == Some(2) && self.was_delivered;
        !is_begun && self.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

impl Model {
    pub fn new(id: QueueId, settings: QueueSettings) -> Self {
        Model {
            id,
            settings,
            entries: BTreeMap::new(),
            consumers: Vec::new(),
            next_index: 0,
            next_sequence: 0,
            recorded_index: 0,
            recorded_sequence: 0,
            turn: 0,
        }
    }

    /// A message comes in, from an AMQP binding if it has no quality of service.
    pub fn admit(&mut self, message: &Message, qos: Option<u8>, text: &str) -> &Entry {
        let facts = message.facts();
        let durable = self.settings.durable && facts.persistent && qos.is_none_or(|qos| qos > 0);
        let (index, mut sequence) = (self.next_index, 0);
        self.next_index += 1;
        if qos.is_some_and(|qos| qos > 0) {
            sequence = self.next_sequence;
            self.next_sequence += 1;
        }
        if durable {
            self.recorded_index = self.next_index;
            self.recorded_sequence = self.next_sequence;
        }
        self.entries.entry(index).or_insert(Entry {
            text: text.to_owned(),
            size_bytes: message.size_bytes(),
            priority: facts.priority.min(self.settings.max_priority),
            durable,
            qos,
            sequence,
            expires_at_ms: facts.expires_at_ms,
            was_delivered: false,
            place: Place::Ready,
        })
    }

    /// What waits and has not expired, in the order in which it is handed out.
    pub fn ready(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let mut ready = self.placed(Place::Ready);
        ready.sort_by_key(|(index, entry)| (Reverse(entry.priority), *index));
        ready.into_iter()
    }

    fn placed(&self, place: Place) -> Vec<(u64, &Entry)> {
        let placed = self.entries.iter().filter(|(_, entry)| entry.place == place);
        placed.map(|(&index, entry)| (index, entry)).collect()
    }

    /// How many a purge or a deletion drops: what has expired may be gone already.
    pub fn waiting(&self) -> RangeInclusive<usize> {
        let (ready, expired) = (self.placed(Place::Ready).len(), self.placed(Place::Expired).len());
        ready..=ready + expired
    }

    /// The entries in somebody's hands, with the holder.
    pub fn held(&self) -> Vec<(u64, ConsumerId)> {
        let holder = |(&index, entry): (&u64, &Entry)| match entry.place {
            Place::Held { by, .. } => Some((index, by)),
            _ => None,
        };
        self.entries.iter().filter_map(holder).collect()
    }

    pub fn is_received(&self, index: u64) -> bool {
        let place = self.entries.get(&index).map(|entry| entry.place);
        matches!(place, Some(Place::Away | Place::Held { received: true, .. }))
    }

    /// Whoever may take the next entry, by its place.
    fn next_consumer(&self, needs_settlement: bool, shared: &Shared) -> Option<usize> {
        let len = self.consumers.len();
        (self.turn..self.turn + len)
            .map(|at| at % len)
            .find(|&at| self.has_room(&self.consumers[at], needs_settlement, shared))
    }

    fn has_room(&self, consumer: &Consumer, needs_settlement: bool, shared: &Shared) -> bool {
        let counts = |entry: &&Entry| matches!(entry.place, Place::Held { by, counted: true, .. } if by == consumer.id);
        let used = self.entries.values().filter(counts).count() as u32;
        let own = consumer.prefetch == 0 || used < consumer.prefetch;
        let all = !consumer.shares || shared.limit == 0 || shared.used < shared.limit;
        let window = consumer.unwritten_bytes < consumer.window_bytes;
        window && (consumer.no_ack || !needs_settlement || (own && all))
    }

    /// Judges a delivery to a consumer, and takes note of it.
    pub fn delivered(&mut self, delivery: &Delivery, shared: &mut Shared, expected: &mut Expected) {
        let (index, front) = self.ready().next().expect("what is delivered was waiting");
        assert_eq!(delivery.index.0, index, "first in, first out");
        let needs_settlement = front.needs_settlement();
        let at = self.next_consumer(needs_settlement, shared).expect("somebody has room");
        let consumer = &mut self.consumers[at];
        assert_eq!(delivery.consumer, consumer.id, "each in turn");
        consumer.unwritten_bytes += front_size(&self.entries, index);
        let holds = needs_settlement && !consumer.no_ack;
        let is_shared = consumer.shares;
        self.turn = (at + 1) % self.consumers.len();
        shared.used += u32::from(holds && is_shared);
        let place = Place::Held {
            by: delivery.consumer,
            counted: true,
            shared: is_shared,
            received: false,
        };
        self.hand_out(delivery, holds.then_some(place), expected);
    }

    /// Judges an answer to a get.
    pub fn got(&mut self, delivery: &Delivery, no_ack: bool, expected: &mut Expected) {
        let front = self.ready().next().map(|(index, _)| index);
        assert_eq!(front, Some(delivery.index.0), "first in, first out");
        let by = delivery.consumer;
        let place = Place::Held { by, counted: false, shared: false, received: false };
        self.hand_out(delivery, (!no_ack).then_some(place), expected);
    }

    fn hand_out(&mut self, delivery: &Delivery, to: Option<Place>, expected: &mut Expected) {
        let index = delivery.index.0;
        let entry = self.entries.get_mut(&index).unwrap();
        assert_eq!(delivery.message.routing_key(), entry.text);
        assert_eq!(delivery.message.size_bytes(), entry.size_bytes);
        assert_eq!(delivery.redelivered, entry.was_delivered);
        assert_eq!(delivery.sequence, entry.sequence);
        assert_eq!(delivery.acknowledge, to.is_some());
        assert_eq!(delivery.subscription.is_some(), entry.qos.is_some());
        assert_eq!(delivery.qos, entry.qos.unwrap_or(1));
        entry.was_delivered = true;
        match to {
            Some(place) => {
                entry.place = place;
                if entry.durable {
                    expected.handed_out.push((self.id, index));
                }
            }
            None => self.finish(index, expected),
        }
    }

    pub fn finish(&mut self, index: u64, expected: &mut Expected) {
        if self.entries.remove(&index).is_some_and(|entry| entry.durable) {
            expected.settled.push((self.id, index));
        }
    }

    pub fn settle(
        &mut self,
        index: u64,
        settlement: Settlement,
        shared: &mut Shared,
        expected: &mut Expected,
    ) {
        self.give_back(index, shared);
        match settlement {
            Settlement::Requeue => self.entries.get_mut(&index).unwrap().place = Place::Ready,
            _ => self.finish(index, expected),
        }
    }

    fn give_back(&self, index: u64, shared: &mut Shared) {
        if let Place::Held { shared: true, .. } = self.entries[&index].place {
            shared.used -= 1;
        }
    }

    /// The queue is deleted: the shared places of what was in flight are free.
    pub fn close(&mut self, shared: &mut Shared) {
        self.entries.keys().for_each(|&index| self.give_back(index, shared));
    }

    pub fn remove_consumer(&mut self, at: usize) -> Consumer {
        if at < self.turn {
            self.turn -= 1;
        }
        self.consumers.remove(at)
    }

    pub fn detach(&mut self, at: usize) -> ConsumerId {
        let id = self.remove_consumer(at).id;
        for entry in self.entries.values_mut() {
            match entry.place {
                Place::Held { by, received, .. } if by == id => {
                    entry.place = if received { Place::Away } else { Place::Ready };
                }
                _ => {}
            }
        }
        let waits = |entry: &Entry| matches!(entry.place, Place::Ready | Place::Expired);
        self.entries.retain(|_, entry| !waits(entry) || entry.needs_settlement());
        id
    }

    /// A snapshot is taken: a restart counts on from here at least.
    pub fn checkpoint(&mut self) {
        if self.settings.durable {
            self.recorded_index = self.next_index;
            self.recorded_sequence = self.next_sequence;
        }
    }

    /// The process ends: what was not recorded is gone, and nobody is there.
    pub fn restart(&mut self) {
        self.entries.retain(|_, entry| entry.durable);
        for entry in self.entries.values_mut() {
            if let Place::Held { received, .. } = entry.place {
                entry.place = if received { Place::Away } else { Place::Ready };
            }
        }
        self.consumers.clear();
        self.turn = 0;
        self.next_index = self.recorded_index;
        self.next_sequence = self.recorded_sequence;
    }

    /// What has expired is not handed out any more, and goes at some time.
    pub fn expire(&mut self, now_ms: u64) {
        for entry in self.entries.values_mut() {
            if entry.place == Place::Ready && entry.is_expired(now_ms) {
                entry.place = Place::Expired;
            }
        }
    }

    /// A queue has settled these: what has expired among them is gone.
    pub fn note_gone(&mut self, settled: &[(QueueId, EntryIndex)], expected: &mut Expected) {
        for &(queue, index) in settled {
            let entry = self.entries.get(&index.0).filter(|_| queue == self.id);
            if entry.is_some_and(|entry| entry.place == Place::Expired) {
                self.finish(index.0, expected);
            }
        }
    }

    /// Compares the counts.
    pub fn compare(&mut self, stats: QueueStats) {
        assert!(self.waiting().contains(&stats.ready), "{:?} {}", self.waiting(), stats.ready);
        if *self.waiting().start() == stats.ready {
            // So has everything else that has expired.
            self.entries.retain(|_, entry| entry.place != Place::Expired || entry.durable);
            assert!(self.placed(Place::Expired).is_empty(), "the journal was not told");
        }
        let (mut ready, mut held, mut expired) = (0, 0, 0);
        for entry in self.entries.values() {
            let side = match entry.place {
                Place::Ready => &mut ready,
                Place::Expired => &mut expired,
                _ => &mut held,
            };
            *side += entry.size_bytes as u64;
        }
        let others = self.entries.len() - self.waiting().end();
        assert_eq!((others, held), (stats.unacked, stats.unacked_bytes));
        assert!((ready..=ready + expired).contains(&stats.ready_bytes));
        assert_eq!(self.consumers.len(), stats.consumers);
    }

    /// Whether somebody could have the entry at the front now.
    pub fn is_stuck(&self, shared: &Shared) -> bool {
        let front = self.ready().next();
        front.is_some_and(|(_, entry)| {
            self.next_consumer(entry.needs_settlement(), shared).is_some()
        })
    }
}

fn front_size(entries: &BTreeMap<u64, Entry>, index: u64) -> i64 {
    entries[&index].size_bytes as i64
}
