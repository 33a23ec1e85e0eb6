//! A queue with one consumer: published, delivered, acknowledged.

use std::sync::Arc;

use leveret_core::record;
use leveret_core::{
    Body, ConnectionId, ConsumerId, ConsumerOptions, Draft, Effects, Encoding, Facts, Message,
    Position, QueueId, QueueSettings, Reference, Settlement, ShardState, Target,
};

use super::{Case, Work};

pub const CASES: &[Case] = &[
    Case { name: "queue_auto_ack", messages: MESSAGES, prepare: || pass(false, true, 1) },
    Case { name: "queue_ack", messages: MESSAGES, prepare: || pass(false, false, 1) },
    Case { name: "queue_ack_durable", messages: MESSAGES, prepare: || pass(true, false, 1) },
    Case { name: "queue_fanout_to_100", messages: MESSAGES, prepare: || pass(false, true, 100) },
];

/// Messages through one shard; each goes to so many queues.
fn pass(durable: bool, no_ack: bool, queues: u64) -> Work {
    let mut shard = Shard::new(durable, no_ack, queues);
    Box::new(move || {
        for _ in 0..MESSAGES / queues {
            shard.publish();
        }
        shard.deliver();
    })
}

struct Shard {
    state: ShardState,
    fx: Effects,
    targets: Vec<Target>,
    durable: bool,
    record: Vec<u8>,
}

impl Shard {
    fn new(durable: bool, no_ack: bool, queues: u64) -> Self {
        let mut state = ShardState::default();
        let targets = (1..=queues).map(QueueId).map(|queue| {
            state.create(queue, QueueSettings { durable, ..QueueSettings::default() });
            let options = ConsumerOptions {
                no_ack,
                exclusive: false,
                priority: 0,
                prefetch: 0,
                shared: None,
                window_bytes: usize::MAX / 2,
                shared_window: None,
            };
            let created = state.queue(queue).expect("it was just made");
            created.consume(consumer(queue), options).expect("it is the only consumer");
            Target { queue, durable, subscription: None, deduplication: None }
        });
        let targets = targets.collect();
        let fx = Effects { resident_bytes_free: 1 << 30, ..Effects::default() };
        Shard { state, fx, targets, durable, record: Vec::new() }
    }

    fn publish(&mut self) {
        let facts = Facts { persistent: self.durable, ..Facts::default() };
        let message = Arc::new(Message::new(Draft {
            exchange: "exchange",
            routing_key: "routing.key",
            encoding: Encoding::Amqp,
            properties: &[0x10, 0, 2],
            body: Body::Borrowed(&[0; 64]),
            facts,
        }));
        let mut placements = Vec::new();
        self.state.place(&self.targets, &message, None, &mut placements, &mut self.fx);
        let reference = self.durable.then(|| {
            self.record.clear();
            record::write::publish(&mut self.record, None, &placements, &message);
            Reference::new(Position(8), self.record.len(), placements.len())
        });
        self.state.publish(0, &mut placements, message, reference, &mut self.fx);
    }

    fn deliver(&mut self) {
        self.state.pump_published(0, &mut self.fx);
        let deliveries = std::mem::take(&mut self.fx.deliveries);
        assert_eq!(deliveries.len() as u64, MESSAGES);
        for delivery in &deliveries {
            let queue = self.state.queue(delivery.queue).expect("it is there");
            queue.written(delivery.consumer, delivery.message.body().len());
            if delivery.acknowledge {
                let (consumer, index) = (delivery.consumer, delivery.index);
                queue.settle(consumer, index, Settlement::Ack, &mut self.fx);
            }
        }
        for (queue, runs) in record::runs_by_queue(&mut self.fx.settled) {
            self.record.clear();
            record::write::runs(&mut self.record, queue, &runs);
        }
        self.fx.clear();
    }
}

fn consumer(queue: QueueId) -> ConsumerId {
    ConsumerId { connection: ConnectionId(1), number: queue.0 }
}

const MESSAGES: u64 = 500;
