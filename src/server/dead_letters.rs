//! Messages that were rejected or dropped and have a place to go: they are published there, in the
//! order in which they died, and only then leave their queue for good.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::record::Record;
use leveret_core::{
    Address, Death, DeathReason, Message, QueueEntry, QueueId, QueueKind, Topology,
};
use tokio::sync::Notify;

use super::counts::Counter;
use super::frontend::amqp::death::{self, Grave};
use super::frontend::amqp::delayed;
use super::frontend::headers_of;
use super::frontend::mqtt::delayed as topics;
use super::publisher::Publisher;
use super::routed::Routed;
use super::{Node, clock, random_number};

/// What is to be published elsewhere, in the order in which it died.
#[derive(Debug, Default)]
pub struct DeadLetters {
    waiting: Mutex<VecDeque<Death>>,
    added: Notify,
    counts: Counts,
}

/// How many messages were to be published elsewhere since the start, by reason, and how many of them a
/// queue has got.
#[derive(Debug, Default)]
struct Counts {
    delivery_limit: Counter,
    expired: Counter,
    max_length: Counter,
    rejected: Counter,
    /// Not dead letters.
    handed_on: Counter,
    placed: Counter,
}

impl Counts {
    fn of(&self, reason: DeathReason) -> &Counter {
        match reason {
            DeathReason::DeliveryLimit => &self.delivery_limit,
            DeathReason::Expired => &self.expired,
            DeathReason::MaxLength => &self.max_length,
            DeathReason::Rejected => &self.rejected,
            DeathReason::MemberLeft => &self.handed_on,
        }
    }
}

impl DeadLetters {
    /// Adds some at the end.
    pub fn add(&self, deaths: impl Iterator<Item = Death>) {
        self.lock().extend(deaths);
        self.added.notify_one();
    }

    /// Whether so many wait that nobody should make more.
    pub fn are_many(&self) -> bool {
        self.lock().len() > WAITING_MAX
    }

    /// How many there were for a reason since the start.
    pub fn count(&self, reason: DeathReason) -> u64 {
        self.counts.of(reason).count()
    }

    /// How many of them queues have got.
    pub fn placed(&self) -> u64 {
        self.counts.placed.count()
    }

    /// Waits for the next ones.
    async fn next(&self) -> Vec<Death> {
        loop {
            let added = self.added.notified();
            let next: Vec<Death> = {
                let mut waiting = self.lock();
                let len = waiting.len().min(BATCH_LEN);
                waiting.drain(..len).collect()
            };
            if !next.is_empty() {
                return next;
            }
            added.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Death>> {
        self.waiting.lock().expect("nothing panics while it holds the list")
    }
}

/// Publishes dead letters until the node is gone.
pub async fn run(node: Arc<Node>) {
    loop {
        let deaths = node.dead_letters.next().await;
        let node = node.clone();
        // Messages may have to be read from the disk.
        if tokio::task::spawn_blocking(move || node.bury(&deaths)).await.is_err() {
            return;
        }
    }
}

impl Node {
    fn bury(&self, deaths: &[Death]) {
        let mut publisher = Publisher::new(None);
        for death in deaths {
            if let Some((letter, routed)) = self.dead_letter(death) {
                publisher.add_routed(self, letter, routed);
            }
        }
        // What is appended now stands before the settlements that follow, so that a crash may double
        // a message and never loses one.
        publisher.flush(self);
        for death in deaths {
            let Some(index) = death.index else { continue };
            self.shard_of(death.queue).post(|work| {
                if let Some(queue) = work.state.queue(death.queue) {
                    queue.left(index, &mut work.fx);
                }
            });
        }
    }

    /// What is to be published instead, and where; `None` if it goes nowhere.
    fn dead_letter(&self, death: &Death) -> Option<(Arc<Message>, Arc<Routed>)> {
        let message = self.message_of(death)?;
        if death.reason == DeathReason::MemberLeft {
            return self.handed_on(death, message);
        }
        let topology = self.topology();
        let queue = topology.queue_by_id(death.queue)?;
        if queue.spec.kind == QueueKind::Delay {
            return match &*queue.name {
                topics::EXCHANGE => self.released_to_topic(&message, &topology, &queue.vhost),
                _ => self.released(&message, &topology, queue),
            };
        }
        let exchange = queue.dead_letter_exchange()?;
        let key = queue.dead_letter_key();
        let grave = Grave {
            queue: &queue.name,
            reason: death.reason,
            now_s: clock::now_ms() / 1000,
            exchange,
            key,
        };
        let buried = death::bury(&message, &grave);
        let (first, more) = buried.keys.split_first()?;
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let address =
            Address { vhost: &queue.vhost, exchange, key: first, random: random_number() };
        let mut routes =
            topology.route_by_keys(address, &more, &*headers_of(&buried.message), None).ok()?;
        let name_of = |id: QueueId| topology.queue_by_id(id).map(|queue| queue.name.clone());
        let cycle: BTreeSet<&str> = buried.cycle.iter().map(String::as_str).collect();
        routes
            .targets
            .retain(|target| name_of(target.queue).is_none_or(|name| !cycle.contains(&*name)));
        let routed = Arc::new(Routed::group(&routes, self.shard_count())).choose(self);
        let counts = &self.dead_letters.counts;
        counts.of(death.reason).add(1);
        counts.placed.add(u64::from(!routed.is_empty()));
        let letter = Arc::new(buried.message);
        self.firehose.show(&queue.vhost, &letter);
        (!routed.is_empty()).then_some((letter, routed))
    }

    /// A message whose delay is over, for the exchange that kept it.
    fn released(
        &self,
        message: &Message,
        topology: &Topology,
        waited_in: &QueueEntry,
    ) -> Option<(Arc<Message>, Arc<Routed>)> {
        let (message, more) = delayed::released(message)?;
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let (vhost, exchange) = (&*waited_in.vhost, &*waited_in.name);
        let key = message.routing_key();
        let address = Address { vhost, exchange, key, random: random_number() };
        let routes = topology.route_by_keys(address, &more, &*headers_of(&message), None).ok()?;
        let routed = Arc::new(Routed::group(&routes, self.shard_count())).choose(self);
        (!routed.is_empty()).then(|| (Arc::new(message), routed))
    }

    fn message_of(&self, death: &Death) -> Option<Arc<Message>> {
        if let Some(message) = &death.message {
            return Some(message.clone());
        }
        let message = self.read_record(death.at?).and_then(Record::into_message)?;
        let message = message.into_message();
        message
            .inspect_err(|error| tracing::error!(%error, "a dead letter is lost"))
            .ok()
            .map(Arc::new)
    }
}

/// How many are published at once.
const BATCH_LEN: usize = 256;

/// How many may wait before publishers have to.
const WAITING_MAX: usize = 10_000;
