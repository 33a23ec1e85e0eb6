//! The consumers of one queue: who is served next, and who has credit left.
//!
//! A consumer is served while it has room in two measures: messages that wait for settlement
//! (prefetch, MQTT Receive Maximum), given back by settling, and bytes on their way to the socket
//! (the window), given back when they were written. So a slow consumer never fills memory. Both may
//! have a limit over several consumers as well (`shared`).

use std::sync::Arc;

use smallvec::SmallVec;

use super::shared::{SharedPrefetch, SharedWindow};
use crate::ConsumerId;

/// How a consumer wants to be served.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Deliveries need no settlement (AMQP `no_ack`).
    pub no_ack: bool,
    /// No other consumer may be on the queue.
    pub exclusive: bool,
    /// Those with the greatest priority are served first, as long as one of them has room.
    pub priority: i32,
    /// How many deliveries may wait for settlement; 0 is unlimited.
    pub prefetch: u32,
    /// A limit shared with other consumers (AMQP `basic.qos` with `global`).
    pub shared: Option<Arc<SharedPrefetch>>,
    /// How many bytes may be on their way to the socket.
    pub window_bytes: usize,
    /// A window over all consumers of a connection, beside its own.
    pub shared_window: Option<Arc<SharedWindow>>,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub id: ConsumerId,
    pub options: ConsumerOptions,
    used: u32,
    window_bytes_left: i64,
    /// It has asked to be called up once the shared window has room.
    is_stalled: bool,
}

impl Consumer {
    fn has_room(&self, needs_settlement: bool) -> bool {
        let shared = self.options.shared_window.as_ref();
        shared.is_none_or(|window| window.has_room()) && self.has_own_room(needs_settlement)
    }

    /// Whether it has room but for the window that it shares.
    fn has_own_room(&self, needs_settlement: bool) -> bool {
        if self.window_bytes_left <= 0 {
            return false;
        }
        if self.options.no_ack || !needs_settlement {
            return true;
        }
        let own = self.options.prefetch == 0 || self.used < self.options.prefetch;
        own && self.options.shared.as_ref().is_none_or(|shared| shared.has_room())
    }
}

#[derive(Debug, Default)]
pub(super) struct Consumers {
    /// The greatest priority first, equals in the order in which they came.
    list: Vec<Consumer>,
    groups: SmallVec<[Group; 1]>,
    /// The only one that is served, if there may be one only.
    active: Option<ConsumerId>,
}

/// Consumers of one priority: a part of the list.
#[derive(Debug)]
struct Group {
    priority: i32,
    end: usize,
    /// Where the search for the next one to serve begins; it may be the end.
    next: usize,
}

impl Consumers {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn has_exclusive(&self) -> bool {
        self.list.iter().any(|consumer| consumer.options.exclusive)
    }

    pub fn add(&mut self, id: ConsumerId, options: ConsumerOptions) {
        let window_bytes_left = options.window_bytes as i64;
        let priority = options.priority;
        let place = self.groups.partition_point(|group| group.priority > priority);
        let start = self.start(place);
        match self.groups.get_mut(place).filter(|group| group.priority == priority) {
            Some(group) => group.end += 1,
            None => self.groups.insert(place, Group { priority, end: start + 1, next: start }),
        }
        if self.list.is_empty() {
            // Many queues never have more than one, sessions for instance.
            self.list.reserve_exact(1);
        }
        self.list.insert(
            self.groups[place].end - 1,
            Consumer { id, options, used: 0, window_bytes_left, is_stalled: false },
        );
        for group in &mut self.groups[place + 1..] {
            (group.end, group.next) = (group.end + 1, group.next + 1);
        }
    }

    /// Where a group begins.
    fn start(&self, group: usize) -> usize {
        group.checked_sub(1).map_or(0, |before| self.groups[before].end)
    }

    pub fn remove(&mut self, id: ConsumerId) -> bool {
        let Some(at) = self.list.iter().position(|consumer| consumer.id == id) else {
            return false;
        };
        self.list.remove(at);
        let was_active = self.active.take_if(|active| *active == id).is_some();
        let place = self.groups.partition_point(|group| group.end <= at);
        for group in &mut self.groups[place..] {
            group.end -= 1;
            group.next -= usize::from(group.next > at);
        }
        let start = self.start(place);
        if self.groups[place].end == start {
            self.groups.remove(place);
        }
        if was_active {
            self.choose_active();
        }
        true
    }

    /// Sees to it that one consumer alone is served: the one that is already, or the first of the
    /// greatest priority.
    pub fn choose_active(&mut self) {
        if self.active.is_none() {
            self.active = self.list.first().map(|consumer| consumer.id);
        }
    }

    pub fn active(&self) -> Option<ConsumerId> {
        self.active
    }

    pub fn with_options(&self) -> impl Iterator<Item = (ConsumerId, &ConsumerOptions)> {
        self.list.iter().map(|consumer| (consumer.id, &consumer.options))
    }

    pub fn ids(&self) -> impl Iterator<Item = ConsumerId> {
        self.list.iter().map(|consumer| consumer.id)
    }

    /// The next consumer in turn that can take an entry, by its place.
    pub fn next(&self, needs_settlement: bool) -> Option<usize> {
        if let Some(active) = self.active {
            let at = self.list.iter().position(|consumer| consumer.id == active)?;
            return self.list[at].has_room(needs_settlement).then_some(at);
        }
        let mut start = 0;
        for group in &self.groups {
            let in_turn = (group.next..group.end).chain(start..group.next);
            start = group.end;
            let mut with_room = in_turn.filter(|&at| self.list[at].has_room(needs_settlement));
            if let Some(at) = with_room.next() {
                return Some(at);
            }
        }
        None
    }

    /// Those that would be served if the window that they share had room, and have not asked for it.
    pub fn stall(&mut self, needs_settlement: bool) -> impl Iterator<Item = ConsumerId> {
        let active = self.active;
        self.list.iter_mut().filter_map(move |consumer| {
            let is_in_turn = active.is_none_or(|active| active == consumer.id);
            let shares = consumer.options.shared_window.is_some();
            let stalls = is_in_turn
                && shares
                && !consumer.is_stalled
                && consumer.has_own_room(needs_settlement);
            consumer.is_stalled |= stalls;
            stalls.then_some(consumer.id)
        })
    }

    /// The window that a consumer has asked for may have room.
    pub fn call_up(&mut self, id: ConsumerId) {
        if let Some(consumer) = self.find(id) {
            consumer.is_stalled = false;
        }
    }

    /// Counts an entry against the consumer at a place and moves the turn on.
    pub fn serve(&mut self, at: usize, size_bytes: usize, needs_settlement: bool) -> &Consumer {
        let place = self.groups.partition_point(|group| group.end <= at);
        let start = self.start(place);
        let group = &mut self.groups[place];
        group.next = if at + 1 == group.end { start } else { at + 1 };
        let consumer = &mut self.list[at];
        consumer.window_bytes_left -= size_bytes as i64;
        if let Some(window) = &consumer.options.shared_window {
            window.take(size_bytes);
        }
        if needs_settlement && !consumer.options.no_ack {
            consumer.used += 1;
            if let Some(shared) = &consumer.options.shared {
                shared.take();
            }
        }
        consumer
    }

    /// Gives back window bytes: they were written to the socket.
    pub fn written(&mut self, id: ConsumerId, bytes: usize) {
        if let Some(consumer) = self.find(id) {
            consumer.window_bytes_left += bytes as i64;
        }
    }

    /// Gives back the place of an entry that was settled.
    pub fn settled(&mut self, holder: &Holder) {
        if !holder.counted {
            return;
        }
        if let Some(shared) = &holder.shared {
            shared.give_back();
        }
        if let Some(consumer) = self.find(holder.consumer) {
            consumer.used = consumer.used.saturating_sub(1);
        }
    }

    fn find(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.list.iter_mut().find(|consumer| consumer.id == id)
    }
}

/// Who holds an entry that waits for settlement. The shared limit is kept here as well, because a
/// consumer may be cancelled before its entries are settled.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub consumer: ConsumerId,
    pub shared: Option<Arc<SharedPrefetch>>,
    /// It takes a place of the consumer's prefetch: it was handed out to it.
    pub counted: bool,
    /// When it was handed out.
    pub since_ms: u64,
}

impl Holder {
    /// Somebody who holds an entry that no prefetch counts.
    pub fn uncounted(consumer: ConsumerId, since_ms: u64) -> Self {
        Holder { consumer, shared: None, counted: false, since_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionId;

    fn id(number: u64) -> ConsumerId {
        ConsumerId { connection: ConnectionId(1), number }
    }

    fn options(prefetch: u32) -> ConsumerOptions {
        ConsumerOptions {
            no_ack: false,
            exclusive: false,
            priority: 0,
            prefetch,
            shared: None,
            window_bytes: 100,
            shared_window: None,
        }
    }

    #[test]
    fn equals_are_served_in_turn() {
        let mut consumers = Consumers::default();
        (0..3).for_each(|number| consumers.add(id(number), options(0)));
        let served: Vec<u64> = (0..6)
            .map(|_| {
                let at = consumers.next(true).unwrap();
                consumers.serve(at, 1, true).id.number
            })
            .collect();
        assert_eq!(served, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_greater_priority_is_served_first_as_long_as_it_has_room() {
        let mut consumers = Consumers::default();
        for (number, priority) in [(0, 0), (1, 5), (2, -3), (3, 5), (4, 0)] {
            consumers.add(id(number), ConsumerOptions { priority, ..options(2) });
        }
        let mut serve = |times: usize| -> Vec<u64> {
            (0..times)
                .map_while(|_| {
                    let at = consumers.next(true)?;
                    Some(consumers.serve(at, 1, true).id.number)
                })
                .collect()
        };
        assert_eq!(serve(5), [1, 3, 1, 3, 0]);
        assert_eq!(serve(9), [4, 0, 4, 2, 2]);
        consumers.settled(&Holder { consumer: id(3), shared: None, counted: true, since_ms: 0 });
        consumers.settled(&Holder { consumer: id(4), shared: None, counted: true, since_ms: 0 });
        assert!(consumers.remove(id(1)) && consumers.remove(id(2)) && !consumers.remove(id(2)));
        let next = consumers.next(true).unwrap();
        assert_eq!(consumers.serve(next, 1, true).id, id(3));
        let next = consumers.next(true).unwrap();
        assert_eq!(consumers.serve(next, 1, true).id, id(4));
        [0, 3, 4].into_iter().for_each(|number| assert!(consumers.remove(id(number))));
        assert!(consumers.is_empty() && consumers.next(true).is_none());
        consumers.add(id(5), options(1));
        assert_eq!(consumers.next(true), Some(0));
    }

    #[test]
    fn a_single_active_consumer_is_served_alone_until_it_goes() {
        let mut consumers = Consumers::default();
        for (number, priority) in [(0, 0), (1, 0), (2, 9), (3, 9)] {
            consumers.add(id(number), ConsumerOptions { priority, ..options(1) });
            consumers.choose_active();
        }
        let served = |consumers: &mut Consumers| {
            consumers.next(true).map(|at| consumers.serve(at, 1, true).id.number)
        };
        assert_eq!(served(&mut consumers), Some(0), "the first that came");
        assert_eq!(served(&mut consumers), None, "the others wait, with room or without");
        consumers.remove(id(1));
        assert_eq!(served(&mut consumers), None);
        consumers.remove(id(0));
        assert_eq!(served(&mut consumers), Some(2), "then the first of the greatest priority");
        [2, 3].into_iter().for_each(|number| assert!(consumers.remove(id(number))));
        assert_eq!(served(&mut consumers), None);
    }

    #[test]
    fn a_full_prefetch_stops_a_consumer_until_it_settles() {
        let mut consumers = Consumers::default();
        consumers.add(id(1), options(1));
        consumers.serve(0, 1, true);
        assert_eq!(consumers.next(true), None);
        assert_eq!(consumers.next(false), Some(0));
        consumers.settled(&Holder { consumer: id(1), shared: None, counted: true, since_ms: 0 });
        assert_eq!(consumers.next(true), Some(0));
    }

    #[test]
    fn a_full_window_stops_a_consumer_until_it_was_written() {
        let mut consumers = Consumers::default();
        consumers.add(id(1), options(0));
        consumers.serve(0, 100, true);
        assert_eq!(consumers.next(true), None);
        consumers.written(id(1), 100);
        assert_eq!(consumers.next(true), Some(0));
    }

    #[test]
    fn a_shared_limit_counts_over_consumers() {
        let shared = Arc::new(SharedPrefetch::default());
        shared.set_limit(1);
        let mut consumers = Consumers::default();
        for number in 0..2 {
            let shared = Some(shared.clone());
            consumers.add(id(number), ConsumerOptions { shared, ..options(0) });
        }
        consumers.serve(0, 1, true);
        assert_eq!(consumers.next(true), None);
        consumers.remove(id(0));
        assert!(shared.take_shortage() && !shared.take_shortage());
        consumers.settled(&Holder {
            consumer: id(0),
            shared: Some(shared.clone()),
            counted: true,
            since_ms: 0,
        });
        assert_eq!(consumers.next(true), Some(0));
        assert!(!shared.take_shortage(), "nobody has found it used up since");
    }

    #[test]
    fn a_shared_window_stops_all_who_share_it_and_each_asks_for_it_once() {
        let window = Arc::new(SharedWindow::new(150));
        let mut consumers = Consumers::default();
        for number in 0..3 {
            let shared_window = Some(window.clone());
            consumers.add(id(number), ConsumerOptions { shared_window, ..options(1) });
        }
        consumers.serve(0, 60, true);
        assert_eq!(consumers.next(true), Some(1), "at the limit there is room for one more");
        consumers.serve(1, 90, true);
        assert_eq!(consumers.next(true), None);
        assert!(consumers.stall(true).eq([id(2)]), "the others wait for their own prefetch");
        assert_eq!(consumers.stall(true).count(), 0);
        window.give_back(1);
        assert_eq!(consumers.next(true), Some(2));
        consumers.serve(2, 1, false);
        consumers.call_up(id(2));
        assert!(consumers.next(true).is_none() && consumers.stall(true).eq([id(2)]));
        assert!(consumers.stall(false).eq([id(0), id(1)]));
    }
}
