//! What clients know of their messages: which were confirmed, which they have acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use leveret_core::{Delivery, Position, QueueId};

use super::node::{Node, QUEUES, Stopped};

/// What is known of every message in every queue that it went to.
#[derive(Default)]
pub struct Truth {
    copies: BTreeMap<(QueueId, u64), Copy>,
    pub published: u64,
    /// Copies that came back to their places in this life.
    requeued: BTreeSet<(QueueId, u64)>,
    last: BTreeMap<QueueId, u64>,
    durable: Position,
}

#[derive(Default)]
struct Copy {
    /// Confirmed when this is durable.
    promise: Position,
    confirmed: bool,
    handed_out: Option<Position>,
    acknowledged: Option<Position>,
    /// Known to be gone for good.
    gone: bool,
}

impl Truth {
    /// A message got a place in a queue, for the first time or because that was lost.
    pub fn publish(&mut self, queue: QueueId, number: u64, promise: Position) {
        let before = self.copies.insert((queue, number), Copy { promise, ..Copy::default() });
        assert!(before.is_none_or(|copy| copy.gone && !copy.confirmed), "{number} is there twice");
    }

    /// A message that is repeated got no place.
    pub fn not_placed(&mut self, queue: QueueId, number: u64) {
        let copy = self.copies.get(&(queue, number));
        let was_there =
            copy.is_some_and(|copy| !copy.gone || copy.confirmed || copy.acknowledged.is_some());
        assert!(was_there, "{number} is lost because it is taken for a repetition");
    }

    /// A delivery in this life, to a consumer, recorded at or before a position.
    pub fn delivered(&mut self, delivery: &Delivery, number: u64, recorded: Position) {
        let key = (delivery.queue, number);
        let copy = self.copies.get_mut(&key).expect("what is delivered was published");
        assert!(!copy.gone && copy.acknowledged.is_none(), "{key:?} comes back");
        copy.handed_out = Some(recorded);
        let last = self.last.entry(delivery.queue).or_default();
        let returned = self.requeued.remove(&key);
        assert!(returned || *last < number, "{key:?} after {last}");
        assert!(!returned || delivery.redelivered, "{key:?} was handed out before");
        *last = number.max(*last);
    }

    pub fn acknowledged(&mut self, queue: QueueId, number: u64, recorded: Position) {
        self.copies.get_mut(&(queue, number)).unwrap().acknowledged = Some(recorded);
    }

    pub fn requeued(&mut self, queue: QueueId, number: u64) {
        self.requeued.insert((queue, number));
    }

    /// All copies in a queue but those that are in somebody's hands are gone.
    pub fn purged(&mut self, queue: QueueId, held: &BTreeSet<(QueueId, u64)>, recorded: Position) {
        let of_queue = self.copies.iter_mut().filter(|((id, _), _)| *id == queue);
        for (_, copy) in of_queue.filter(|(key, _)| !held.contains(key)) {
            copy.acknowledged.get_or_insert(recorded);
        }
        self.requeued.retain(|(id, _)| *id != queue);
    }

    /// The watermark has got so far: promises before it were kept.
    pub fn note_durable(&mut self, durable: Position) {
        self.durable = self.durable.max(durable);
        let confirmed = self.copies.values_mut().filter(|copy| copy.promise < durable);
        confirmed.for_each(|copy| copy.confirmed = true);
    }

    pub fn crash(&mut self, durable: Position) {
        self.note_durable(durable);
        self.requeued.clear();
        self.last.clear();
    }

    /// Looks at everything that a node has after its start, and compares.
    pub fn inspect(&mut self, node: &mut Node) -> Result<(), Stopped> {
        for queue in QUEUES {
            let found = node.look_into(queue)?;
            let numbers: Vec<u64> = found.iter().map(|(number, _)| *number).collect();
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "{queue}: order, and each once: {numbers:?}"
            );
            let found: BTreeMap<u64, bool> = found.into_iter().collect();
            let durable = self.durable;
            let of_queue = self.copies.iter_mut().filter(|((id, _), _)| *id == queue);
            let known = of_queue.map(|((_, number), copy)| {
                usize::from(copy.compare(*number, found.get(number).copied(), durable))
            });
            assert_eq!(
                known.sum::<usize>(),
                found.len(),
                "{queue}: only what was published is there"
            );
        }
        Ok(())
    }

    /// Copies that a queue has.
    pub fn alive(&self) -> usize {
        self.copies.values().filter(|copy| !copy.gone).count()
    }
}

impl Copy {
    /// Compares with what was found after a start, and learns from it: what a start has found is on
    /// the disk, what it has not found is never found again. Says whether it is there.
    fn compare(&mut self, number: u64, redelivered: Option<bool>, durable: Position) -> bool {
        let is_durable = |at: Option<Position>| at.is_some_and(|at| at < durable);
        let Some(redelivered) = redelivered else {
            let may_go = self.gone || !self.confirmed || self.acknowledged.is_some();
            assert!(may_go, "{number} is lost, promised at {:?}", self.promise);
            self.gone = true;
            return false;
        };
        assert!(!self.gone, "{number} was gone and is back");
        assert!(!is_durable(self.acknowledged), "{number} was acknowledged and is back");
        assert!(redelivered || !is_durable(self.handed_out), "{number} was handed out before");
        (self.acknowledged, self.confirmed) = (None, true);
        // Positions behind the end that the start has found are given to other records now.
        self.handed_out = redelivered.then_some(Position(0));
        true
    }
}
