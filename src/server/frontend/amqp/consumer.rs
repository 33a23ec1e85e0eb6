//! The consumers of a connection, by the number that the core knows them by, and the window that they
//! share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use leveret_core::{QueueId, SharedWindow};
use smallvec::SmallVec;

/// What may be on its way to all consumers of a connection together.
#[derive(Debug)]
pub(super) struct Window {
    pub shared: Arc<SharedWindow>,
    /// Bytes of deliveries that were not given back yet.
    pub debt_bytes: usize,
    /// Consumers that wait for room, in the order in which they came.
    pub line: VecDeque<u64>,
}

impl Window {
    /// A window of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let shared = Arc::new(SharedWindow::new(bytes));
        Window { shared, debt_bytes: 0, line: VecDeque::new() }
    }

    /// What was delivered is on the socket.
    pub fn give_back(&mut self) {
        if self.debt_bytes > 0 {
            self.shared.give_back(std::mem::take(&mut self.debt_bytes));
        }
    }

    /// The consumer whose turn it is, if there is room for it.
    pub fn next_in_line(&mut self) -> Option<u64> {
        self.line.pop_front_if(|_| self.shared.has_room())
    }
}

/// The consumers of all channels of a connection.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    by_number: BTreeMap<u64, Consumer>,
    /// Those that get deliveries, by channel and tag.
    live: BTreeMap<u16, BTreeMap<Box<str>, u64>>,
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
    /// Adds a consumer, whose tag no other one on the channel has, under a number that is never used
    /// again.
    pub fn add(&mut self, channel: u16, tag: &str, queue: QueueId) -> u64 {
        let number = self.insert(channel, tag, queue);
        self.live.entry(channel).or_default().insert(tag.into(), number);
        number
    }

    /// Adds what holds the message of a `basic.get`: it has a number, but is no consumer of its channel.
    pub fn add_get(&mut self, channel: u16, queue: QueueId) -> u64 {
        self.insert(channel, "", queue)
    }

    fn insert(&mut self, channel: u16, tag: &str, queue: QueueId) -> u64 {
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
        self.live.get(&channel)?.get(tag).copied()
    }

    /// How many consumers of a channel get deliveries.
    pub fn count_of_channel(&self, channel: u16) -> usize {
        self.live.get(&channel).map_or(0, BTreeMap::len)
    }

    /// The consumers of a channel that get deliveries, in the order in which they came.
    pub fn of_channel(&self, channel: u16) -> SmallVec<[u64; 4]> {
        let live = self.live.get(&channel);
        let numbers = live.into_iter().flat_map(BTreeMap::values).copied();
        let mut numbers: SmallVec<[u64; 4]> = numbers.collect();
        numbers.sort_unstable();
        numbers
    }

    /// Notes that a consumer gets nothing more.
    pub fn end(&mut self, number: u64) {
        let Some(consumer) = self.by_number.get_mut(&number) else { return };
        if let Some(live) = self.live.get_mut(&consumer.channel)
            && live.get(&consumer.tag) == Some(&number)
        {
            live.remove(&consumer.tag);
        }
        consumer.is_over = true;
        if consumer.unsettled == 0 {
            self.by_number.remove(&number);
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
        self.live.remove(&channel);
        self.by_number.retain(|_, consumer| consumer.channel != channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_free_again_while_deliveries_of_its_last_consumer_wait_for_settlement() {
        let mut consumers = Consumers::default();
        let first = consumers.add(1, "tag", QueueId(7));
        consumers.get(first).unwrap().unsettled = 2;
        consumers.end(first);
        assert_eq!((consumers.find(1, "tag"), consumers.count_of_channel(1)), (None, 0));
        let second = consumers.add(1, "tag", QueueId(8));
        assert_eq!(consumers.settled(first, 2), Some(QueueId(7)));
        assert_eq!(consumers.settled(first, 1), None, "it is forgotten");
        assert_eq!((consumers.find(1, "tag"), consumers.find(2, "tag")), (Some(second), None));
    }

    #[test]
    fn consumers_are_counted_by_channel_and_a_get_is_none() {
        let mut consumers = Consumers::default();
        let tags = ["c", "a", "b"];
        let numbers = tags.map(|tag| consumers.add(1, tag, QueueId(1)));
        consumers.add(2, "a", QueueId(1));
        let get = consumers.add_get(1, QueueId(1));
        assert_eq!(consumers.of_channel(1).as_slice(), numbers, "in the order in which they came");
        assert_eq!((consumers.count_of_channel(1), consumers.find(1, "")), (3, None));
        consumers.end(get);
        consumers.remove_channel(1);
        assert_eq!((consumers.count_of_channel(1), consumers.count_of_channel(2)), (0, 1));
        assert!(consumers.get(numbers[0]).is_none());
    }
}
