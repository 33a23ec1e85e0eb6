//! The publishing side of a connection: routes, and one batch per shard per read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use leveret_core::record::{self, Kind, Origin, Packet};
use leveret_core::{
    Address, Headers, Message, Placement, Position, QueueId, Reference, Routes, ShardId, Target,
    TopologyError,
};
use leveret_storage::Urgency;
use smallvec::SmallVec;

use super::shard::Work;
use super::{Node, clock};

/// What one connection publishes between two looks at its socket.
pub struct Publisher {
    /// The queue of the publisher's own MQTT session, for "no local".
    session: Option<QueueId>,
    cache: Cache,
    batches: Vec<Vec<Item>>,
    /// Records that several shards of the batch refer to.
    bodies: Vec<Reference>,
    placements: Vec<Placement>,
    /// Messages of the last batch that a queue has refused.
    refused: Vec<Option<Confirm>>,
    /// Messages of the last batch had to go to the disk for want of memory.
    is_ahead: bool,
}

/// Where a message goes, grouped by shard.
#[derive(Debug, Default)]
pub struct Routed {
    by_shard: SmallVec<[(ShardId, SmallVec<[Target; 1]>); 1]>,
}

/// A publish that its client wants to have confirmed: the channel, and its number there.
pub type Confirm = (u16, u64);

struct Item {
    message: Arc<Message>,
    confirm: Option<Confirm>,
    routed: Arc<Routed>,
    /// Which shard's part of the routes.
    part: usize,
    origin: Option<Origin>,
    /// The message's record, if several shards share it.
    body: Option<Reference>,
}

/// The routes that were used last, as long as the topology stays as it is.
#[derive(Default)]
struct Cache {
    generation: u64,
    routes: HashMap<CacheKey, Arc<Routed>, foldhash::fast::RandomState>,
    last: Option<(CacheKey, Arc<Routed>)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    vhost: Arc<str>,
    exchange: Box<str>,
    key: Box<str>,
}

/// Routes that one connection remembers.
const CACHED_ROUTES_MAX: usize = 512;

impl Publisher {
    /// For a connection; `session` is the queue of its MQTT session.
    pub fn new(session: Option<QueueId>, shards: u16) -> Self {
        let batches = (0..shards).map(|_| Vec::new()).collect();
        Publisher {
            session,
            cache: Cache::default(),
            batches,
            bodies: Vec::new(),
            placements: Vec::new(),
            refused: Vec::new(),
            is_ahead: false,
        }
    }

    /// Where a message with this exchange and key goes. `headers` are asked only by exchanges that
    /// route by them.
    ///
    /// # Errors
    /// If there is no such exchange, or it takes no messages from clients.
    pub fn route(
        &mut self,
        node: &Node,
        vhost: &Arc<str>,
        (exchange, key): (&str, &str),
        headers: &dyn Headers,
    ) -> Result<Arc<Routed>, TopologyError> {
        let generation = node.generation.load(Ordering::Acquire);
        if self.cache.generation != generation {
            self.cache = Cache { generation, ..Cache::default() };
        }
        if let Some(routed) = self.cache.find(vhost, exchange, key) {
            return Ok(routed);
        }
        let routes = {
            let topology = node.topology();
            topology.check_publish(vhost, exchange)?;
            topology.route(Address { vhost, exchange, key }, headers, self.session)?
        };
        let routed = Arc::new(Routed::group(&routes, node.shard_count()));
        if routes.is_cacheable() {
            self.cache.insert(vhost, exchange, key, &routed);
        }
        Ok(routed)
    }

    /// As [`Publisher::route`], for a message with more routing keys. Such routes are not remembered.
    ///
    /// # Errors
    /// As [`Publisher::route`].
    pub fn route_by_keys(
        &self,
        node: &Node,
        vhost: &Arc<str>,
        (exchange, key, more): (&str, &str, &[&str]),
        headers: &dyn Headers,
    ) -> Result<Arc<Routed>, TopologyError> {
        let topology = node.topology();
        topology.check_publish(vhost, exchange)?;
        let address = Address { vhost, exchange, key };
        let routes = topology.route_by_keys(address, more, headers, self.session)?;
        Ok(Arc::new(Routed::group(&routes, node.shard_count())))
    }

    /// Adds a message to the batch. It is in no queue before [`Publisher::flush`].
    pub fn add(
        &mut self,
        node: &Node,
        message: Arc<Message>,
        routed: Arc<Routed>,
        (packet, confirm): (Option<Packet>, Option<Confirm>),
    ) {
        let several = routed.by_shard.len() > 1;
        let body = (several && message.facts().persistent && routed.is_durable())
            .then(|| node.hold_body(&message, routed.len()));
        self.bodies.extend(body);
        let shards = routed.durable_shards(&message);
        let origin = packet.map(|packet| Origin { packet, shards });
        for at in 0..routed.by_shard.len() {
            let batch = usize::from(routed.by_shard[at].0.0) - 1;
            let (message, routed) = (message.clone(), routed.clone());
            self.batches[batch].push(Item { message, confirm, routed, part: at, origin, body });
        }
    }

    /// Whether nothing is to be flushed.
    pub fn is_empty(&self) -> bool {
        self.batches.iter().all(Vec::is_empty)
    }

    /// Publishes the batch. Gives the position that has to be durable before anything of it may be
    /// promised, if it concerns anything durable.
    pub fn flush(&mut self, node: &Node) -> Option<Position> {
        let mut last = None;
        self.is_ahead = false;
        self.refused.clear();
        let Publisher { batches, placements, refused, is_ahead, .. } = self;
        for (batch, shard) in batches.iter_mut().zip(&node.shards) {
            if !batch.is_empty() {
                let position = shard.post(|work| {
                    let position = publish(work, batch, placements, refused);
                    *is_ahead |= !work.fx.spills.is_empty();
                    position
                });
                last = last.max(position);
                batch.clear();
            }
        }
        for body in self.bodies.drain(..) {
            node.let_go(body);
        }
        last
    }

    /// The messages of the last batch that a queue has refused, for want of room.
    pub fn refused(&self) -> &[Option<Confirm>] {
        &self.refused
    }

    /// Whether the consumers are so far behind that the last batch had to go to the disk although
    /// nobody asked for that. A publisher that waits a little then lets them catch up.
    pub fn is_ahead(&self) -> bool {
        self.is_ahead
    }
}

impl Node {
    /// Publishes one message that the broker itself has to publish. Gives what has to be durable
    /// before anybody is told.
    pub fn publish_now(&self, vhost: &Arc<str>, message: &Arc<Message>) -> Option<Position> {
        let retained = message.facts().retain.then(|| self.retain(vhost, message));
        let mut publisher = Publisher::new(None, self.shard_count());
        let (exchange, key) = (message.exchange(), message.routing_key());
        match publisher.route(self, vhost, (exchange, key), &|_: &str| None) {
            Ok(routed) => publisher.add(self, message.clone(), routed, (None, None)),
            Err(error) => tracing::warn!(%error, "a message of the broker's own is lost"),
        }
        let promise = publisher.flush(self);
        promise.max(retained.and_then(Result::ok).flatten())
    }
}

/// Publishes a batch in one shard; gives the position of the last durable record.
fn publish(
    work: &mut Work,
    batch: &[Item],
    placements: &mut Vec<Placement>,
    refused: &mut Vec<Option<Confirm>>,
) -> Option<Position> {
    let now_ms = clock::now_ms();
    let mut last = None;
    for item in batch {
        let (message, origin) = (&item.message, item.origin);
        if work.state.place(item.targets(), message, origin, placements, &mut work.fx) {
            refused.push(item.confirm);
        }
        let recorded = record_placements(work, item, placements);
        if let Some(origin) = origin.filter(|_| !placements.is_empty()) {
            work.state.remember(origin, recorded.map(|recorded| recorded.message));
        }
        last = last.max(recorded.map(|recorded| recorded.promise));
        let message_at = recorded.map(|recorded| recorded.message);
        work.state.publish(now_ms, placements, message, message_at, &mut work.fx);
    }
    last
}

#[derive(Clone, Copy)]
struct Recorded {
    /// Where the message is.
    message: Reference,
    /// What has to be durable before the publish may be promised.
    promise: Position,
}

/// Writes the record of a publish, if anything in it is durable.
fn record_placements(work: &mut Work, item: &Item, placements: &[Placement]) -> Option<Recorded> {
    let durable = placements.iter().filter(|placement| placement.durable).count();
    if durable == 0 {
        return None;
    }
    let origin = item.origin;
    let recorded = match item.body {
        None => {
            let appended = work.journal.append(Kind::Publish, Urgency::Promise, |out| {
                record::write::publish(out, origin, placements, &item.message)
            });
            Recorded { message: appended.reference(durable), promise: appended.at }
        }
        Some(message) => {
            let appended = work.journal.append(Kind::Enqueue, Urgency::Promise, |out| {
                record::write::enqueue(out, origin, placements, message.at);
                None
            });
            Recorded { message, promise: appended.at }
        }
    };
    let references = durable as u32 + u32::from(origin.is_some());
    work.journal.retain(recorded.message, references);
    Some(recorded)
}

impl Item {
    fn targets(&self) -> &[Target] {
        &self.routed.by_shard[self.part].1
    }
}

impl Routed {
    /// Groups routes by the shards of their queues.
    pub fn group(routes: &Routes, shards: u16) -> Self {
        let mut routed = Routed::default();
        for target in &routes.targets {
            let shard = target.queue.shard(shards);
            match routed.by_shard.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, targets)) => targets.push(target.clone()),
                None => routed.by_shard.push((shard, SmallVec::from_iter([target.clone()]))),
            }
        }
        routed
    }

    /// Whether no queue gets it.
    pub fn is_empty(&self) -> bool {
        self.by_shard.is_empty()
    }

    /// The shards that get it, each with its queues.
    pub fn parts(&self) -> impl Iterator<Item = (ShardId, &[Target])> {
        self.by_shard.iter().map(|(shard, targets)| (*shard, &targets[..]))
    }

    /// How many queues get it.
    pub fn len(&self) -> usize {
        self.by_shard.iter().map(|(_, targets)| targets.len()).sum()
    }

    /// Whether any of them is durable.
    pub fn is_durable(&self) -> bool {
        self.by_shard.iter().any(|(_, targets)| targets.iter().any(|target| target.durable))
    }

    /// How many shards will record the message.
    fn durable_shards(&self, message: &Message) -> u16 {
        let records = |target: &Target| {
            let granted = target.subscription.as_ref().map_or(1, |subscription| subscription.qos);
            target.durable && granted.min(message.facts().qos) > 0
        };
        self.by_shard.iter().filter(|(_, targets)| targets.iter().any(records)).count() as u16
    }
}

impl Cache {
    fn find(&mut self, vhost: &Arc<str>, exchange: &str, key: &str) -> Option<Arc<Routed>> {
        if let Some((last, routed)) = &self.last
            && &*last.key == key
            && &*last.exchange == exchange
            && last.vhost == *vhost
        {
            return Some(routed.clone());
        }
        let wanted = CacheKey::new(vhost, exchange, key);
        let routed = self.routes.get(&wanted)?.clone();
        self.last = Some((wanted, routed.clone()));
        Some(routed)
    }

    fn insert(&mut self, vhost: &Arc<str>, exchange: &str, key: &str, routed: &Arc<Routed>) {
        if self.routes.len() >= CACHED_ROUTES_MAX {
            self.routes.clear();
        }
        let key = CacheKey::new(vhost, exchange, key);
        self.routes.insert(key.clone(), routed.clone());
        self.last = Some((key, routed.clone()));
    }
}

impl CacheKey {
    fn new(vhost: &Arc<str>, exchange: &str, key: &str) -> Self {
        CacheKey { vhost: vhost.clone(), exchange: exchange.into(), key: key.into() }
    }
}
