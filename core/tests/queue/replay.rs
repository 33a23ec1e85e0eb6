//! A crash at any record: the shard that is replayed from what is left has exactly what was
//! published and not settled in it, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_core::record::{Kind, Record};
use leveret_core::{
    ConnectionId, ConsumerId, ConsumerOptions, Delivery, EntryIndex, Position, QueueId,
    QueueSettings, Subscription,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::executor::{Executor, Journal};
use super::steps::{Publish, steps};
use super::world::World;

/// What the records say of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    text: String,
    sequence: u64,
    redelivered: bool,
    received: bool,
}

#[derive(Default)]
struct Expected {
    entries: BTreeMap<(QueueId, u64), Known>,
    /// The greatest index and sequence that were ever recorded.
    last: BTreeMap<QueueId, (u64, Option<u64>)>,
}

const READER: ConsumerId = ConsumerId { connection: ConnectionId(9), number: 1 };

impl Expected {
    /// Goes through the records one by one, entry by entry.
    fn of(journal: &Journal, queues: &[(QueueId, QueueSettings)]) -> Self {
        let mut expected = Expected::default();
        for number in 0..journal.records.len() {
            expected.add(journal.record(Position(number as u64)));
        }
        let exists = |queue: QueueId| queues.iter().any(|(id, _)| *id == queue);
        expected.entries.retain(|(queue, _), _| exists(*queue));
        expected.last.retain(|queue, _| exists(*queue));
        expected
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Publish { placements, message, .. } => {
                for placement in placements {
                    let message = message.clone().into_message().unwrap();
                    let (placement, text) = (placement.0, message.routing_key().to_owned());
                    let sequence = placement.sequence;
                    let known = Known { text, sequence, redelivered: false, received: false };
                    self.entries.insert((placement.queue, placement.index.0), known);
                    let last = self.last.entry(placement.queue).or_default();
                    last.0 = last.0.max(placement.index.0);
                    last.1 = last.1.max(placement.subscription.map(|_| sequence));
                }
            }
            Record::Settle { queue, runs } => {
                let settled = |index| runs.iter().any(|run| run.contains(EntryIndex(index)));
                self.entries.retain(|&(id, index), _| id != queue || !settled(index));
            }
            Record::Deliver { queue, runs } => {
                let indexes = runs.iter().flat_map(|run| run.indexes());
                indexes.for_each(|index| self.mark(queue, index, |known| known.redelivered = true));
            }
            Record::Receive { queue, runs } => {
                let indexes = runs.iter().flat_map(|run| run.indexes());
                indexes.for_each(|index| self.mark(queue, index, |known| known.received = true));
            }
            Record::Purge { queue, before, kept } => self.entries.retain(|&(id, index), _| {
                id != queue || index >= before.0 || kept.contains(&EntryIndex(index))
            }),
            Record::Spill(_) | Record::Page { .. } | Record::Release(_) => {}
            other => panic!("a shard does not record {other:?}"),
        }
    }

    fn mark(&mut self, queue: QueueId, index: EntryIndex, mark: impl FnOnce(&mut Known)) {
        if let Some(known) = self.entries.get_mut(&(queue, index.0)) {
            mark(known);
        }
    }

    fn waiting(&self, queue: QueueId) -> Vec<(u64, String, u64, bool)> {
        self.of_queue(queue)
            .filter(|(_, known)| !known.received)
            .map(|(index, known)| (index, known.text.clone(), known.sequence, known.redelivered))
            .collect()
    }

    fn received(&self, queue: QueueId) -> Vec<(EntryIndex, u64)> {
        self.of_queue(queue)
            .filter(|(_, known)| known.received)
            .map(|(index, known)| (EntryIndex(index), known.sequence))
            .collect()
    }

    fn of_queue(&self, queue: QueueId) -> impl Iterator<Item = (u64, &Known)> {
        let of_queue = self.entries.iter().filter(move |((id, _), _)| *id == queue);
        of_queue.map(|((_, index), known)| (*index, known))
    }
}

/// Everything that waits in a queue, by a consumer without limits.
fn read_all(shard: &mut Executor, queue: QueueId) -> Vec<Delivery> {
    let options = ConsumerOptions {
        no_ack: false,
        exclusive: true,
        priority: 0,
        prefetch: 0,
        shared: None,
        window_bytes: usize::MAX / 2,
        shared_window: None,
    };
    let ((), done) = shard.post(|state, fx, _| {
        let queue = state.queue(queue).unwrap();
        queue.consume(READER, options).unwrap();
        queue.pump(0, fx);
    });
    let mut deliveries = done.deliveries;
    while let Some(done) = shard.fetched(0, |_| false) {
        deliveries.extend(done.deliveries);
    }
    deliveries
}

/// What a shard knows after a restart is what its records say.
fn check(shard: &mut Executor, queues: &[(QueueId, QueueSettings)], expected: &Expected) {
    for &(queue, settings) in queues {
        let adopted = shard.state.queue(queue).unwrap().adopt_received(READER);
        assert_eq!(adopted, expected.received(queue));
        let mut target = Publish::target(queue);
        target[0].subscription = Some(Arc::new(Subscription { qos: 1, ..Default::default() }));
        let (next, _) = shard.publish(0, &target, &Publish::durable("next"), None);
        if let Some(&(index, sequence)) = expected.last.get(&queue) {
            assert!(next[0].index.0 > index);
            assert!(sequence.is_none_or(|sequence| next[0].sequence > sequence));
        }
        // The next one may have a place before others of lower priority; the model judges the order.
        let mut found: Vec<_> = read_all(shard, queue)
            .iter()
            .map(|d| {
                let text = d.message.routing_key().to_owned();
                (d.index.0, text, d.sequence, d.redelivered)
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found.pop().unwrap().1, "next");
        assert_eq!(found, expected.waiting(queue));
        assert!(settings.durable || found.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_crash_at_any_record_leaves_what_the_records_say(
        budget_bytes in prop_oneof![Just(0), Just(30_000), Just(1 << 30)],
        steps in vec(steps(), 0..100),
        cuts in vec(any::<prop::sample::Index>(), 3),
    ) {
        let mut world = World::new(budget_bytes);
        steps.iter().for_each(|step| world.take(step));
        let queues = world.queues();
        let mut shard = world.shard;
        let mut cuts: Vec<usize> =
            cuts.iter().map(|cut| cut.index(shard.journal.records.len() + 1)).collect();
        cuts.sort_unstable();
        for cut in cuts.into_iter().rev() {
            shard.restart(cut, &queues);
            let expected = Expected::of(&shard.journal, &queues);
            check(&mut shard, &queues, &expected);
        }
    }
}

#[test]
fn a_deep_backlog_comes_back_in_order_and_in_batches() {
    let (queue, settings) = (QueueId(1), crate::steps::settings(true, false, 0));
    for durable in [true, false] {
        let mut shard = Executor::new(0);
        shard.state.create(queue, settings);
        let message = Publish::of_bytes("m", 9_000, durable);
        for _ in 0..500 {
            shard.publish(0, &Publish::target(queue), &message, None);
        }
        assert!(shard.resident_bytes() < 80_000, "{} bytes", shard.resident_bytes());
        let found = read_all(&mut shard, queue);
        assert!(found.iter().map(|delivery| delivery.index.0).eq(0..500));
        let spilled = shard.journal.records.iter().any(|(kind, _)| *kind == Kind::Spill);
        assert_eq!((spilled, shard.resident_bytes()), (!durable, 0));
    }
}
