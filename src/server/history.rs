//! What an exchange of the type `x-recent-history` remembers, for destinations that are bound to it later.

use std::sync::Arc;
use std::time::Duration;

use leveret_core::{
    Address, ConnectionId, ConsumerId, Delivery, Destination, Facts, Got, Message, Position,
    QueueId, Routes, Settlement, Target,
};

use super::frontend::headers_of;
use super::publisher::Publisher;
use super::routed::Routed;
use super::{Node, clock, random_number};

/// Nobody else takes messages out of such a queue.
const HOLDER: ConsumerId = ConsumerId { connection: ConnectionId(0), number: 0 };
/// How long the disk is waited for, and how often.
const WAIT: Duration = Duration::from_millis(1);
const WAITS_MAX: usize = 2000;

impl Node {
    /// Publishes what is remembered in `history` to a destination. Gives what has to be durable before
    /// anybody is told.
    pub(super) fn recall(
        &self,
        history: QueueId,
        vhost: &Arc<str>,
        to: &Destination,
    ) -> Option<Position> {
        // Two who take it at once would find it empty.
        let _alone = self.recalling.lock().expect("nothing panics while it holds this");
        let remembered = self.take_all(history);
        let mut publisher = Publisher::new(None);
        for delivery in &remembered {
            let message = as_of_now(&delivery.message);
            let routed = self.routed_to(vhost, to, &message);
            if !routed.is_empty() {
                publisher.add_routed(self, Arc::new(message), Arc::new(routed));
            }
        }
        let promise = publisher.flush(self);
        let entries = remembered.iter().map(|delivery| delivery.index);
        self.settle(history, HOLDER, entries, Settlement::Requeue);
        promise
    }

    fn take_all(&self, queue: QueueId) -> Vec<Delivery> {
        let (mut taken, mut waits) = (Vec::new(), 0);
        loop {
            let got = self.shard_of(queue).post(|work| match work.state.queue(queue) {
                Some(queue) => queue.get(HOLDER, false, work.now_ms, &mut work.fx),
                None => Got::Empty,
            });
            match got {
                Got::Message(delivery, _) => taken.push(delivery),
                Got::Fetching if waits < WAITS_MAX => {
                    waits += 1;
                    std::thread::sleep(WAIT);
                }
                Got::Fetching => {
                    tracing::warn!(%queue, "a part of a history could not be read in time");
                    return taken;
                }
                Got::Empty => return taken,
            }
        }
    }

    fn routed_to(&self, vhost: &str, to: &Destination, message: &Message) -> Routed {
        let topology = self.topology();
        let routes = match to {
            Destination::Queue(id) => {
                let durable = topology.queue_by_id(*id).is_some_and(|it| it.spec.is_durable());
                let mut routes = Routes::default();
                routes.targets.push(Target { queue: *id, durable, ..Target::default() });
                routes
            }
            Destination::Exchange(exchange) => {
                let (key, random) = (message.routing_key(), random_number());
                let address = Address { vhost, exchange, key, random };
                topology.route(address, &*headers_of(message), None).unwrap_or_default()
            }
        };
        Routed::group(&routes, self.shard_count())
    }
}

/// In its new queue its time begins now.
fn as_of_now(message: &Message) -> Message {
    let facts = Facts { timestamp_ms: clock::now_ms(), ..message.facts() };
    message.clone().with_facts(facts)
}
