//! The publishing side of a connection: routes, and one batch per shard per read.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_core::record::{self, Kind, Origin, Packet};
use leveret_core::{
    Address, Headers, Message, Placement, Position, QueueId, Reference, Topology, TopologyError,
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
    /// Where messages of the batch go; those in a row that go the same way share one.
    ways: Vec<Arc<Routed>>,
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

/// A publish that its client wants to have confirmed.
#[derive(Debug, Clone, Copy)]
pub struct Confirm {
    /// Its number on the channel.
    pub sequence: NonZeroU64,
    /// The channel.
    pub channel: u16,
}

/// Where a message goes: a place in the list of its batch, so that most messages share a route without
/// a count of who does.
#[derive(Debug, Clone, Copy)]
pub struct Way(u32);

struct Item {
    message: Arc<Message>,
    confirm: Option<Confirm>,
    /// What few messages have.
    more: Option<Box<More>>,
    way: Way,
    /// Which shard's part of the routes.
    part: u32,
}

#[derive(Clone, Copy)]
struct More {
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
    ) -> Result<Way, TopologyError> {
        let generation = node.generation.load(Ordering::Acquire);
        let epoch = self.user.as_ref().map_or(0, Identity::epoch);
        let Batch { cache, ways, tally, .. } = self.batch(node);
        cache.keep_to((generation, epoch));
        if let Some(routed) = cache.find(vhost, exchange, key) {
            return Ok(choose(node, routed, ways, tally));
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
        let Batch { cache, ways, tally, .. } = self.batch(node);
        if routes.is_cacheable() {
            cache.insert(vhost, exchange, key, &routed);
        }
        Ok(choose(node, &routed, ways, tally))
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
    ) -> Result<Way, TopologyError> {
        let topology = node.topology();
        let keys: SmallVec<[&str; 8]> = std::iter::once(key).chain(more.iter().copied()).collect();
        self.check(&topology, (vhost, exchange), &keys)?;
        let address = Address { vhost, exchange, key, random: random_number() };
        let routes = topology.route_by_keys(address, more, headers, self.session)?;
        let traffic = Some(topology.exchange(vhost, exchange)?.traffic.clone());
        let routed = Arc::new(Routed { traffic, ..Routed::group(&routes, node.shard_count()) });
        drop(topology);
        let Batch { ways, tally, .. } = self.batch(node);
        Ok(choose(node, &routed, ways, tally))
    }

    /// The routes that a message takes, until the batch is flushed.
    ///
    /// # Panics
    /// If the batch was flushed since.
    #[inline]
    pub fn routed(&self, way: Way) -> &Arc<Routed> {
        let batch = self.batch.as_ref().expect("a way is of a batch");
        &batch.ways[way.0 as usize]
    }

    /// Counts at exchanges what was routed, and forgets the ways of messages that went nowhere. To be
    /// called once a batch, also if nothing is in it.
    pub fn count_at_exchanges(&mut self) {
        let is_empty = self.is_empty();
        if let Some(batch) = &mut self.batch {
            batch.tally.flush();
            if is_empty {
                batch.ways.clear();
            }
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
    #[inline]
    pub fn add(
        &mut self,
        node: &Node,
        message: Arc<Message>,
        way: Way,
        (packet, confirm): (Option<Packet>, Option<Confirm>),
    ) {
        match self.routed(way).delayed.is_empty() {
            true => self.add_undelayed(node, message, way, (packet, confirm)),
            false => self.add_delayed(node, &message, way, (packet, confirm)),
        }
    }

    /// As [`Publisher::add`], for a message that somebody else has routed.
    pub fn add_routed(&mut self, node: &Node, message: Arc<Message>, routed: Arc<Routed>) {
        let way = self.way(node, routed);
        self.add(node, message, way, (None, None));
    }

    /// The way of a message that somebody else has routed.
    pub fn way(&mut self, node: &Node, routed: Arc<Routed>) -> Way {
        let ways = &mut self.batch(node).ways;
        ways.push(routed);
        Way(ways.len() as u32 - 1)
    }

    #[cold]
    fn add_delayed(
        &mut self,
        node: &Node,
        message: &Arc<Message>,
        way: Way,
        (mut packet, confirm): (Option<Packet>, Option<Confirm>),
    ) {
        let routed = self.routed(way).clone();
        for (message, routed) in routed.split(message, node.shard_count()) {
            let way = self.way(node, routed);
            self.add_undelayed(node, message, way, (packet.take(), confirm));
        }
    }

    #[inline]
    fn add_undelayed(
        &mut self,
        node: &Node,
        message: Arc<Message>,
        way: Way,
        (packet, confirm): (Option<Packet>, Option<Confirm>),
    ) {
        let batch = &mut **self.batch.as_mut().expect("a way is of a batch");
        let Batch { ways, items, bodies, .. } = batch;
        let routed = &ways[way.0 as usize];
        let several = routed.by_shard.len() > 1;
        let body = (several && message.facts().persistent && routed.is_durable())
            .then(|| node.hold_body(&message, routed.len()));
        bodies.extend(body);
        let origin =
            packet.map(|packet| Origin { packet, shards: routed.durable_shards(&message) });
        let has_more = origin.is_some() || body.is_some();
        let more = || has_more.then(|| Box::new(More { origin, body }));
        let mut push = |message, part: usize| {
            let shard = routed.by_shard[part].0;
            let item = Item { message, confirm, more: more(), way, part: part as u32 };
            items[usize::from(shard.0) - 1].push(item);
        };
        let Some(last) = routed.by_shard.len().checked_sub(1) else { return };
        (0..last).for_each(|part| push(message.clone(), part));
        push(message, last);
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
        let Batch { items, ways, placements, refused, is_ahead, outpaced, .. } = batch;
        let ways = &ways[..];
        for (items, shard) in items.iter_mut().zip(&node.shards) {
            if !items.is_empty() {
                let position = shard.post(|work| {
                    let position = publish(work, (items, ways), placements, refused);
                    outpaced.extend(work.state.pump_published(work.now_ms, &mut work.fx));
                    *is_ahead |= !work.fx.spills.is_empty();
                    position
                });
                last = last.max(position);
            }
        }
        batch.ways.clear();
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
            ways: Vec::new(),
            items: (0..shards).map(|_| Vec::new()).collect(),
            bodies: Vec::new(),
            placements: Vec::new(),
            refused: Vec::new(),
            is_ahead: false,
            outpaced: Vec::new(),
            tally: ExchangeTally::default(),
        }
    }
}

/// The way of one message, which is counted.
#[inline]
fn choose(
    node: &Node,
    routed: &Arc<Routed>,
    ways: &mut Vec<Arc<Routed>>,
    tally: &mut ExchangeTally,
) -> Way {
    if !routed.groups.is_empty() {
        ways.push(routed.clone().choose(node));
    } else if ways.last().is_none_or(|last| !Arc::ptr_eq(last, routed)) {
        ways.push(routed.clone());
    }
    let way = ways.len() - 1;
    if let Some(traffic) = &ways[way].traffic {
        tally.note(traffic, ways[way].copies);
    }
    Way(way as u32)
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
            Ok(way) => publisher.add(self, message.clone(), way, (None, None)),
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
        publisher.add_routed(self, message, routed);
        publisher.flush(self);
    }
}

/// Publishes a batch in one shard; gives the position of the last durable record.
fn publish(
    work: &mut Work,
    (batch, ways): (&mut Vec<Item>, &[Arc<Routed>]),
    placements: &mut Vec<Placement>,
    refused: &mut Vec<Option<Confirm>>,
) -> Option<Position> {
    let now_ms = work.now_ms;
    let mut last = None;
    for item in batch.drain(..) {
        let origin = item.origin();
        let (_, targets) = &ways[item.way.0 as usize].by_shard[item.part as usize];
        let placed = work.state.place(targets, &item.message, origin, placements, &mut work.fx);
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
    let origin = item.origin();
    let recorded = match item.body() {
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
    fn origin(&self) -> Option<Origin> {
        self.more.as_ref()?.origin
    }

    fn body(&self) -> Option<Reference> {
        self.more.as_ref()?.body
    }
}
