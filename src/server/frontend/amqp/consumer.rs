//! The consumers of a connection, by the number that the core knows them by.

use std::collections::BTreeMap;

use leveret_core::QueueId;
use smallvec::SmallVec;

/// The consumers of all channels of a connection.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    by_number: BTreeMap<u64, Consumer>,
    last_number: u64,
    /// Consumers to which so much was delivered that their window is due back.
    pub due: Vec<u64>,
}

/// A consumer, or a `basic.get` whose message waits for settlement.
#[derive(Debug)]
pub(super) struct Consumer {
    pub channel: u16,
    pub tag: Box<str>,
    pub queue: QueueId,
    /// Deliveries that wait for settlement.
    pub unsettled: usize,
    /// It gets no more; it is kept until everything is settled.
    pub is_over: bool,
    /// Bytes of deliveries that its queue has not got back yet.
    pub debt_bytes: usize,
}

impl Consumers {
    /// Adds a consumer under a number that is never used again.
    pub fn add(&mut self, channel: u16, tag: &str, queue: QueueId) -> u64 {
        self.last_number += 1;
        let tag = tag.into();
        let consumer =
            Consumer { channel, tag, queue, unsettled: 0, is_over: false, debt_bytes: 0 };
        self.by_number.insert(self.last_number, consumer);
        self.last_number
    }

    pub fn get(&mut self, number: u64) -> Option<&mut Consumer> {
        self.by_number.get_mut(&number)
    }

    /// The consumer of this tag, while it gets deliveries.
    pub fn find(&self, channel: u16, tag: &str) -> Option<u64> {
        let is_it = |consumer: &Consumer| consumer.is_of(channel) && &*consumer.tag == tag;
        self.by_number.iter().find(|(_, consumer)| is_it(consumer)).map(|(&number, _)| number)
    }

    /// The consumers of a channel that get deliveries.
    pub fn of_channel(&self, channel: u16) -> SmallVec<[u64; 4]> {
        let of_channel = self.by_number.iter().filter(|(_, consumer)| consumer.is_of(channel));
        of_channel.map(|(&number, _)| number).collect()
    }

    /// How many they are.
    pub fn count_of_channel(&self, channel: u16) -> usize {
        self.by_number.values().filter(|consumer| consumer.is_of(channel)).count()
    }

    /// Notes that a consumer gets nothing more.
    pub fn end(&mut self, number: u64) {
        if let Some(consumer) = self.by_number.get_mut(&number) {
            consumer.is_over = true;
            if consumer.unsettled == 0 {
                self.by_number.remove(&number);
            }
        }
    }

    /// Notes that deliveries of a consumer were settled, and says which queue they came from.
    pub fn settled(&mut self, number: u64, count: usize) -> Option<QueueId> {
        let consumer = self.by_number.get_mut(&number)?;
        let queue = consumer.queue;
        consumer.unsettled = consumer.unsettled.saturating_sub(count);
        if consumer.is_over && consumer.unsettled == 0 {
            self.by_number.remove(&number);
        }
        Some(queue)
    }

    pub fn remove_channel(&mut self, channel: u16) {
        self.by_number.retain(|_, consumer| consumer.channel != channel);
    }
}

impl Consumer {
    fn is_of(&self, channel: u16) -> bool {
        self.channel == channel && !self.is_over
    }
}
