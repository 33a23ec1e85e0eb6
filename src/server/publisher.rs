//! The publishing side of a connection: routes, and one batch per shard per read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_core::record::{self, Kind, Origin, Packet};
use leveret_core::{
    Address, Headers, Message, Placement, Position, QueueId, Reference, Target, Topology,
    TopologyError,
};
use leveret_storage::Urgency;
use smallvec::SmallVec;

use super::backends::Identity;
use super::exchange_tally::ExchangeTally;
use super::frontend::headers_of;
use super::route_cache::Cache;
use super::routed::Routed;
use super::shard::Work;
use super::{Node, random_number};

/// What one connection publishes between two looks at its socket.
pub struct Publisher {
    /// The queue of the publisher's own MQTT session, for "no local".
    session: Option<QueueId>,
    /// In whose name it publishes; the broker itself may publish everything.
    user: Option<Identity>,
    /// The identifier of the publisher's MQTT client.
    client_id: Option<Arc<str>>,
    /// Nothing before it publishes for the first time: many connections only consume.
    batch: Option<Box<Batch>>,
}

/// What is published, and what is known from earlier batches.
struct Batch {
    cache: Cache,
    /// Of each shard.
    items: Vec<Vec<Item>>,
    /// Records that several shards of the batch refer to.
    bodies: Vec<Reference>,
    placements: Vec<Placement>,
    /// Messages of the last batch that a queue has refused.
    refused: Vec<Option<Confirm>>,
    /// Messages of the last batch had to go to the disk for want of memory.
    is_ahead: bool,
    /// Queues whose consumers are a little slower.
    outpaced: Vec<QueueId>,
    tally: ExchangeTally,
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

impl Publisher {
    /// For a connection; `session` is the queue of its MQTT session.
    pub fn new(session: Option<QueueId>) -> Self {
        Publisher { session, user: None, client_id: None, batch: None }
    }

    /// From now on in the name of a user, with what that user may do.
    pub fn on_behalf_of(self, user: &Identity) -> Self {
        Publisher { user: Some(user.clone()), batch: None, ..self }
    }

    /// From now on as the MQTT client of this identifier.
    pub fn with_client_id(self, client_id: &Arc<str>) -> Self {
        Publisher { client_id: Some(client_id.clone()), ..self }
    }

    /// Where a message with this exchange and key goes. `headers` are asked only by exchanges that
    /// route by them. That the user may publish it is known with the route.
    ///
    /// # Errors
    /// If there is no such exchange, it takes no messages from clients, or the user may not publish
    /// there.
    pub fn route(
        &mut self,
        node: &Node,
        vhost: &Arc<str>,
        (exchange, key): (&str, &str),
        headers: &dyn Headers,
    ) -> Result<Arc<Routed>, TopologyError> {
        let generation = node.generation.load(Ordering::Acquire);
        let epoch = self.user.as_ref().map_or(0, Identity::epoch);
        let batch = self.batch(node);
        batch.cache.keep_to((generation, epoch));
        if let Some(routed) = batch.cache.find(vhost, exchange, key) {
            return Ok(self.choose(node, routed));
        }
        let (routes, traffic) = {
            let topology = node.topology();
            self.check(&topology, (vhost, exchange), &[key])?;
            let address = Address { vhost, exchange, key, random: random_number() };
            let routes = topology.route(address, headers, self.session)?;
            (routes, topology.exchange(vhost, exchange)?.traffic.clone())
        };
        let routed =
            Routed { traffic: Some(traffic), ..Routed::group(&routes, node.shard_count()) };
        let routed = Arc::new(routed);
        if routes.is_cacheable() {
            self.batch(node).cache.insert(vhost, exchange, key, &routed);
        }
        Ok(self.choose(node, routed))
    }

    /// As [`Publisher::route`], for a message with more routing keys. Such routes are not remembered.
    ///
    /// # Errors
    /// As [`Publisher::route`].
    pub fn route_by_keys(
        &mut self,
        node: &Node,
        vhost: &Arc<str>,
        (exchange, key, more): (&str, &str, &[&str]),
        headers: &dyn Headers,
    ) -> Result<Arc<Routed>, TopologyError> {
        let topology = node.topology();
        let keys: SmallVec<[&str; 8]> = std::iter::once(key).chain(more.iter().copied()).collect();
        self.check(&topology, (vhost, exchange), &keys)?;
        let address = Address { vhost, exchange, key, random: random_number() };
        let routes = topology.route_by_keys(address, more, headers, self.session)?;
        let traffic = Some(topology.exchange(vhost, exchange)?.traffic.clone());
        let routed = Arc::new(Routed { traffic, ..Routed::group(&routes, node.shard_count()) });
        Ok(self.choose(node, routed))
    }

    /// The way of one message, which is counted.
    fn choose(&mut self, node: &Node, routed: Arc<Routed>) -> Arc<Routed> {
        let routed = routed.choose(node);
        if let Some(traffic) = &routed.traffic {
            self.batch(node).tally.note(traffic, routed.copies);
        }
        routed
    }

    /// Counts at exchanges what was routed. To be called once a batch, also if nothing is in it.
    pub fn count_at_exchanges(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.tally.flush();
        }
    }

    /// Refuses what the user may not publish, or what no client may.
    ///
    /// # Errors
    /// As said.
    pub fn check(
        &self,
        topology: &Topology,
        (vhost, exchange): (&str, &str),
        keys: &[&str],
    ) -> Result<(), TopologyError> {
        match &self.user {
            None => topology.check_publish(vhost, exchange),
            Some(user) => {
                let actor = user.actor(vhost, self.client_id.as_deref());
                topology.check_publish_by(actor, exchange, keys)
            }
        }
    }

    /// Adds a message to the batch. It is in no queue before [`Publisher::flush`].
    pub fn add(
        &mut self,
        node: &Node,
        message: Arc<Message>,
        routed: Arc<Routed>,
        (mut packet, confirm): (Option<Packet>, Option<Confirm>),
    ) {
        if routed.delayed.is_empty() {
            return self.add_undelayed(node, message, routed, (packet, confirm));
        }
        for (message, routed) in routed.split(&message, node.shard_count()) {
            self.add_undelayed(node, message, routed, (packet.take(), confirm));
        }
    }

    fn add_undelayed(
        &mut self,
        node: &Node,
        message: Arc<Message>,
        routed: Arc<Routed>,
        (packet, confirm): (Option<Packet>, Option<Confirm>),
    ) {
        let several = routed.by_shard.len() > 1;
        let body = (several && message.facts().persistent && routed.is_durable())
            .then(|| node.hold_body(&message, routed.len()));
        let batch = self.batch(node);
        batch.bodies.extend(body);
        let shards = routed.durable_shards(&message);
        let origin = packet.map(|packet| Origin { packet, shards });
        let Some(last) = routed.by_shard.len().checked_sub(1) else { return };
        for part in 0..last {
            let (message, routed) = (message.clone(), routed.clone());
            batch.push(Item { message, confirm, routed, part, origin, body });
        }
        batch.push(Item { message, confirm, routed, part: last, origin, body });
    }

    fn batch(&mut self, node: &Node) -> &mut Batch {
        self.batch.get_or_insert_with(|| Box::new(Batch::new(node.shard_count())))
    }

    /// Whether nothing is to be flushed.
    pub fn is_empty(&self) -> bool {
        self.batch.as_ref().is_none_or(|batch| batch.items.iter().all(Vec::is_empty))
    }

    /// Publishes the batch. Gives the position that has to be durable before anything of it may be
    /// promised, if it concerns anything durable.
    pub fn flush(&mut self, node: &Node) -> Option<Position> {
        let mut last = None;
        let batch = &mut **self.batch.as_mut()?;
        batch.tally.flush();
        batch.is_ahead = false;
        batch.refused.clear();
        batch.outpaced.clear();
        let Batch { items, placements, refused, is_ahead, outpaced, .. } = batch;
        for (items, shard) in items.iter_mut().zip(&node.shards) {
            if !items.is_empty() {
                let position = shard.post(|work| {
                    let position = publish(work, items, placements, refused);
                    outpaced.extend(work.state.pump_published(work.now_ms, &mut work.fx));
                    *is_ahead |= !work.fx.spills.is_empty();
                    position
                });
                last = last.max(position);
            }
        }
        for body in batch.bodies.drain(..) {
            node.let_go(body);
        }
        last
    }

    /// The messages of the last batch that a queue has refused, for want of room.
    pub fn refused(&self) -> &[Option<Confirm>] {
        self.batch.as_ref().map_or(&[], |batch| &batch.refused)
    }

    /// Whether the consumers are so far behind that the last batch had to go to the disk although
    /// nobody asked for that, or soon will. A publisher that waits a little then lets them catch up.
    pub fn is_ahead(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.is_ahead || !batch.outpaced.is_empty())
    }

    /// Whether that is so still, while nothing was published.
    pub fn is_ahead_still(&mut self, node: &Node) -> bool {
        let Some(batch) = &mut self.batch else { return false };
        // One that is behind is reason enough; the others are asked when it has caught up.
        while let Some(&queue) = batch.outpaced.last() {
            let is_behind =
                |work: &mut Work| work.state.queue(queue).is_some_and(|it| it.is_behind());
            if node.shard_of(queue).post(is_behind) {
                return true;
            }
            batch.outpaced.pop();
        }
        false
    }
}

impl Batch {
    fn new(shards: u16) -> Self {
        Batch {
            cache: Cache::default(),
            items: (0..shards).map(|_| Vec::new()).collect(),
            bodies: Vec::new(),
            placements: Vec::new(),
            refused: Vec::new(),
            is_ahead: false,
            outpaced: Vec::new(),
            tally: ExchangeTally::default(),
        }
    }

    fn push(&mut self, item: Item) {
        let shard = item.routed.by_shard[item.part].0;
        self.items[usize::from(shard.0) - 1].push(item);
    }
}

impl Node {
    /// Publishes one message that the broker itself has to publish. Gives what has to be durable
    /// before anybody is told.
    pub fn publish_now(&self, vhost: &Arc<str>, message: &Arc<Message>) -> Option<Position> {
        let retained = message.facts().retain.then(|| self.retain(vhost, message));
        self.firehose.show(vhost, message);
        let mut publisher = Publisher::new(None);
        let (exchange, key) = (message.exchange(), message.routing_key());
        match publisher.route(self, vhost, (exchange, key), &*headers_of(message)) {
            Ok(routed) => publisher.add(self, message.clone(), routed, (None, None)),
            Err(error) => tracing::warn!(%error, "a message of the broker's own is lost"),
        }
        let promise = publisher.flush(self);
        promise.max(retained.and_then(Result::ok).flatten())
    }

    /// Publishes one message to an exchange that takes none from clients. If there is no such exchange
    /// the message goes nowhere.
    pub fn publish_within(&self, vhost: &str, message: Message) {
        let (exchange, key) = (message.exchange(), message.routing_key());
        let address = Address { vhost, exchange, key, random: random_number() };
        let routes = self.topology().route(address, &*headers_of(&message), None);
        let Ok(routes) = routes else { return };
        let message = Arc::new(message);
        self.firehose.show(vhost, &message);
        let routed = Arc::new(Routed::group(&routes, self.shard_count())).choose(self);
        let mut publisher = Publisher::new(None);
        publisher.add(self, message, routed, (None, None));
        publisher.flush(self);
    }
}

/// Publishes a batch in one shard; gives the position of the last durable record.
fn publish(
    work: &mut Work,
    batch: &mut Vec<Item>,
    placements: &mut Vec<Placement>,
    refused: &mut Vec<Option<Confirm>>,
) -> Option<Position> {
    let now_ms = work.now_ms;
    let mut last = None;
    for item in batch.drain(..) {
        let origin = item.origin;
        let placed =
            work.state.place(item.targets(), &item.message, origin, placements, &mut work.fx);
        if placed.is_refused {
            refused.push(item.confirm);
        }
        if placed.is_repeated {
            last = last.max(work.journal.last_promise());
        }
        let recorded = record_placements(work, &item, placements);
        if let Some(origin) = origin.filter(|_| !placements.is_empty()) {
            work.state.remember(origin, recorded.map(|recorded| recorded.message));
        }
        last = last.max(recorded.map(|recorded| recorded.promise));
        let message_at = recorded.map(|recorded| recorded.message);
        work.state.publish(now_ms, placements, item.message, message_at, &mut work.fx);
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
