//! Two shards over one journal, worked as the server works them, but by one thread and without
//! sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_core::record::{Kind, Record, runs_by_queue, write};
use leveret_core::{
    Body, ConnectionId, ConsumerId, ConsumerOptions, Delivery, Draft, Effects, Encoding,
    EntryIndex, Facts, Fetch, Got, Message, Placement, Position, QueueId, QueueSettings,
    RecordHeader, Settlement, ShardState, Target,
};
use leveret_storage::faulty::FaultyDisk;
use leveret_storage::{Error, Log, LogConfig, Part, Payload, Storage, Urgency};

use super::truth::Truth;

/// One in each shard.
pub const QUEUES: [QueueId; 2] = [QueueId(1), QueueId(2)];

const SETTINGS: QueueSettings = QueueSettings { durable: true, auto_delete: false };
const CONSUMER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 1 };
const READER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 2 };
/// Small enough that segments come and go.
const SEGMENT_BYTES: u64 = 16 * 1024;

/// The disk does not answer any more: the process would stop.
#[derive(Debug)]
pub struct Stopped;

pub struct Node {
    log: Log,
    shards: [Shard; 2],
    /// What the consumers have and have not settled, oldest first.
    held: Vec<(Delivery, u64)>,
    index: u64,
    /// The last record.
    appended: Position,
}

struct Shard {
    state: ShardState,
    fx: Effects,
}

impl Node {
    /// Opens the journal and replays it.
    pub fn start(disk: &FaultyDisk) -> Result<Self, Stopped> {
        let mut config = LogConfig::new("/data");
        config.segment_bytes = SEGMENT_BYTES;
        let log = Log::open_on(disk.mount(), config).map_err(Stopped::from)?;
        let shards = QUEUES.map(|queue| {
            let mut state = ShardState::default();
            state.create(queue, SETTINGS);
            Shard { state, fx: Effects::default() }
        });
        let mut node = Node { log, shards, held: Vec::new(), index: 0, appended: Position(0) };
        node.recover()?;
        Ok(node)
    }

    fn recover(&mut self) -> Result<(), Stopped> {
        let Node { log, shards, .. } = self;
        let mut bodies = BTreeMap::new();
        let report =
            log.recover(&mut |at, header, payload| match Record::decode(header.kind, &payload)
                .expect("a crash damages nothing")
            {
                Record::Body(message) => _ = bodies.insert(at, Arc::new(message)),
                record => {
                    let shard = &mut shards[usize::from(header.shard)];
                    shard.replay(log, at, record, &mut |at| bodies.get(&at).cloned());
                }
            })?;
        assert_eq!(report.damaged, 0, "a crash damages nothing");
        Ok(())
    }

    pub fn durable(&self) -> Position {
        self.log.durable_position()
    }

    fn has_failed(&self) -> bool {
        self.log.durable().borrow().failed.is_some()
    }

    pub fn close(self) {
        self.log.close().unwrap();
    }

    /// Begins to consume from both queues.
    pub fn consume(&mut self, truth: &mut Truth) {
        for queue in QUEUES {
            self.post(queue, truth, |shard| {
                let options = ConsumerOptions {
                    no_ack: false,
                    exclusive: false,
                    prefetch: 8,
                    shared: None,
                    window_bytes: usize::MAX / 2,
                };
                shard.queue(queue).0.consume(CONSUMER, options).unwrap();
            })
            .unwrap_or(());
        }
    }

    /// Publishes a message to the queues that `queues` has a bit for.
    pub fn publish(&mut self, queues: u64, bytes: usize, truth: &mut Truth) -> Result<(), Stopped> {
        truth.published += 1;
        let number = truth.published;
        let message = Arc::new(message(number, bytes));
        let chosen: Vec<QueueId> =
            (0..2).filter(|bit| queues & (1 << bit) != 0).map(|bit| QUEUES[bit]).collect();
        let body = (chosen.len() > 1).then(|| {
            let at = self.append(Kind::Body, 0, Urgency::Lazy, |out| write::body(out, &message));
            self.log.retain(at, 1);
            at
        });
        let mut done = Ok(());
        for &queue in &chosen {
            let placements = self.place(queue, &message);
            let (stored, promise) = self.record(queue, &placements, &message, body);
            truth.publish(queue, number, promise);
            done = done.and(self.post(queue, truth, |shard| {
                let Shard { state, fx } = shard;
                state.publish(0, &mut placements.clone(), &message, Some(stored), fx);
            }));
        }
        body.into_iter().for_each(|at| self.log.release(at));
        done
    }

    fn place(&mut self, queue: QueueId, message: &Message) -> Vec<Placement> {
        let mut placements = Vec::new();
        let target = [Target { queue, durable: true, subscription: None }];
        self.shard(queue).state.place(&target, message, None, &mut placements);
        assert!(placements.iter().all(|placement| placement.durable));
        placements
    }

    /// Where the message is, and what has to be durable before the publisher is told.
    fn record(
        &mut self,
        queue: QueueId,
        placements: &[Placement],
        message: &Message,
        body: Option<Position>,
    ) -> (Position, Position) {
        let shard = shard_of(queue);
        let promise = match body {
            None => self.append(Kind::Publish, shard, Urgency::Promise, |out| {
                write::publish(out, None, placements, message)
            }),
            Some(at) => self.append(Kind::Enqueue, shard, Urgency::Promise, |out| {
                write::enqueue(out, None, placements, at);
                None
            }),
        };
        let stored = body.unwrap_or(promise);
        self.log.retain(stored, 1);
        (stored, promise)
    }

    /// Acknowledges the oldest deliveries.
    pub fn acknowledge(&mut self, count: usize, truth: &mut Truth) -> Result<(), Stopped> {
        let count = count.min(self.held.len());
        for (delivery, number) in self.held.drain(..count).collect::<Vec<_>>() {
            let queue = delivery.queue;
            let done = self.post(queue, truth, |shard| {
                let (target, fx) = shard.queue(queue);
                target.settle(CONSUMER, delivery.index, Settlement::Ack, fx);
            });
            // Its record is the last one or before it.
            truth.acknowledged(queue, number, self.appended);
            done?;
        }
        Ok(())
    }

    pub fn requeue(&mut self, pick: usize, truth: &mut Truth) -> Result<(), Stopped> {
        if pick >= self.held.len() {
            return Ok(());
        }
        let (delivery, number) = self.held.remove(pick);
        truth.requeued(delivery.queue, number);
        self.post(delivery.queue, truth, |shard| {
            let (target, fx) = shard.queue(delivery.queue);
            target.settle(CONSUMER, delivery.index, Settlement::Requeue, fx);
        })
    }

    pub fn purge(&mut self, queue: u64, truth: &mut Truth) -> Result<(), Stopped> {
        let queue = QueueId(queue);
        let (before, kept) = self.shard(queue).queue(queue).0.purge_bounds();
        let (target, fx) = self.shard(queue).queue(queue);
        target.purge(fx);
        let at = self.append(Kind::Purge, shard_of(queue), Urgency::Promise, |out| {
            write::purge(out, queue, before, &kept);
            None
        });
        let held = self.held.iter().map(|(delivery, number)| (delivery.queue, *number)).collect();
        truth.purged(queue, &held, at);
        self.post(queue, truth, |_| {})
    }

    /// Stores a snapshot: behind it, segments that nobody needs go. It may fail with the disk.
    pub fn snapshot(&mut self) {
        _ = self.log.store_snapshot(self.log.end(), b"");
    }

    /// Waits until everything is durable, or never will be.
    pub fn wait_for_disk(&mut self) {
        let nothing = message(0, 8);
        let at = self.append(Kind::Body, 0, Urgency::Promise, |out| write::body(out, &nothing));
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.durable() <= at && !self.has_failed() {
            assert!(Instant::now() < deadline, "the journal does not move");
            std::thread::yield_now();
        }
    }

    /// Consumes and acknowledges everything.
    pub fn drain(&mut self, truth: &mut Truth) -> Result<(), Stopped> {
        self.consume(truth);
        while !self.held.is_empty() {
            self.acknowledge(usize::MAX, truth)?;
        }
        Ok(())
    }

    /// Everything that waits in a queue and whether it was handed out before; all of it goes back.
    pub fn look_into(&mut self, queue: QueueId) -> Result<Vec<(u64, bool)>, Stopped> {
        let mut found: Vec<Delivery> = Vec::new();
        loop {
            let (target, fx) = self.shard(queue).queue(queue);
            match target.get(READER, false, 0, fx) {
                Got::Message(delivery, _) => found.push(delivery),
                Got::Fetching => _ = self.carry_out(queue)?,
                Got::Empty => break,
            }
        }
        let (target, fx) = self.shard(queue).queue(queue);
        for delivery in &found {
            target.settle(READER, delivery.index, Settlement::Requeue, fx);
        }
        self.carry_out(queue)?;
        Ok(found.iter().map(|d| (number(&d.message), d.redelivered)).collect())
    }

    /// Works on a queue and carries out what that brings about, until nothing more comes.
    fn post(
        &mut self,
        queue: QueueId,
        truth: &mut Truth,
        act: impl FnOnce(&mut Shard),
    ) -> Result<(), Stopped> {
        act(self.shard(queue));
        loop {
            let (target, fx) = self.shard(queue).queue(queue);
            target.pump(0, fx);
            let deliveries = std::mem::take(&mut fx.deliveries);
            let has_fetched = self.carry_out(queue);
            for delivery in deliveries {
                let number = number(&delivery.message);
                truth.delivered(&delivery, number, self.appended);
                self.held.push((delivery, number));
            }
            if !has_fetched? {
                return Ok(());
            }
        }
    }

    /// Says whether messages came back from the journal.
    fn carry_out(&mut self, queue: QueueId) -> Result<bool, Stopped> {
        let fx = &mut self.shard(queue).fx;
        let mut delivered = std::mem::take(&mut fx.delivered);
        let mut settled = std::mem::take(&mut fx.settled);
        let released = std::mem::take(&mut fx.released);
        let fetches = std::mem::take(&mut fx.fetches);
        assert!(fx.is_empty(), "deliveries were taken, and nothing else is asked for");
        self.record_runs(Kind::Deliver, &mut delivered);
        self.record_runs(Kind::Settle, &mut settled);
        released.into_iter().for_each(|at| self.log.release(at));
        let has_fetched = !fetches.is_empty();
        fetches.into_iter().try_for_each(|fetch| self.fetch(fetch))?;
        Ok(has_fetched)
    }

    fn fetch(&mut self, fetch: Fetch) -> Result<(), Stopped> {
        let positions: Vec<Position> = fetch.entries.iter().map(|(_, at)| *at).collect();
        let mut messages = Vec::new();
        for (&(index, at), record) in fetch.entries.iter().zip(self.log.read_many(&positions)) {
            let record = record.map_err(|error| {
                // What was appended behind a failure is nowhere.
                assert!(self.has_failed() || matches!(error, Error::Io { .. }), "{error}");
                Stopped
            })?;
            assert_eq!(record.at, at);
            let record = Record::decode(record.header.kind, &record.payload).unwrap();
            messages.push((index, record.into_message().map(Arc::new)));
        }
        let (target, fx) = self.shard(fetch.queue).queue(fetch.queue);
        target.fetched(messages, fx);
        Ok(())
    }

    fn record_runs(&mut self, kind: Kind, entries: &mut [(QueueId, EntryIndex)]) {
        for (queue, runs) in runs_by_queue(entries) {
            self.append(kind, shard_of(queue), Urgency::Lazy, |out| {
                write::runs(out, queue, &runs);
                None
            });
        }
    }

    fn append<'a>(
        &mut self,
        kind: Kind,
        shard: u16,
        urgency: Urgency,
        write: impl FnOnce(&mut Vec<u8>) -> Option<&'a Bytes>,
    ) -> Position {
        let mut head = Vec::new();
        let large = write(&mut head).cloned().unwrap_or_default();
        self.index += 1;
        let header =
            RecordHeader { kind: kind as u8, shard, term: 1, index: self.index, timestamp_ms: 0 };
        let parts = [Part::Copied(&head), Part::Shared(&large)];
        self.appended = self.log.append(header, Payload::new(&parts), urgency);
        self.appended
    }

    fn shard(&mut self, queue: QueueId) -> &mut Shard {
        &mut self.shards[usize::from(shard_of(queue))]
    }
}

impl Shard {
    fn queue(&mut self, id: QueueId) -> (&mut leveret_core::Queue, &mut Effects) {
        (self.state.queue(id).unwrap(), &mut self.fx)
    }

    fn replay(
        &mut self,
        log: &Log,
        at: Position,
        record: Record,
        message_at: &mut dyn FnMut(Position) -> Option<Arc<Message>>,
    ) {
        let Shard { state, fx } = self;
        let references = state.replay(at, record, message_at, fx);
        fx.released.drain(..).for_each(|at| log.release(at));
        assert!(fx.is_empty(), "nobody is there to be served by a replay");
        references.into_iter().for_each(|at| log.retain(at, 1));
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        assert!(
            matches!(error, Error::Io { .. } | Error::Failed(_) | Error::Directory { .. }),
            "{error}"
        );
        Stopped
    }
}

/// The shard of a queue, as a place in [`Node::shards`].
fn shard_of(queue: QueueId) -> u16 {
    queue.0 as u16 - 1
}

fn message(number: u64, bytes: usize) -> Message {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(bytes.max(8), number as u8);
    Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Owned(body.into()),
        facts: Facts { persistent: true, qos: 1, ..Facts::default() },
    })
}

fn number(message: &Message) -> u64 {
    let (number, rest) = message.body().split_first_chunk().expect("a number and more");
    let number = u64::from_le_bytes(*number);
    assert!(rest.iter().all(|&byte| byte == number as u8), "a message comes back as it went in");
    number
}
