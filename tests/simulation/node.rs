//! Two shards over one journal, worked as the server works them, but by one thread and without
//! sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_core::record::{Kind, Origin, Packet, Record, runs_by_queue, write};
use leveret_core::{
    ConnectionId, ConsumerId, ConsumerOptions, Delivery, DiscardedPage, Effects, EntryIndex, Fetch,
    Got, Message, Placement, Position, QueueId, QueueSettings, RecordHeader, Reference, Settlement,
    ShardState, Target,
};
use leveret_storage::faulty::FaultyDisk;
use leveret_storage::{Error, Log, LogConfig, Part, Payload, Storage, Urgency};

use super::message::{message, number};
use super::truth::Truth;

/// One in each shard.
pub const QUEUES: [QueueId; 2] = [QueueId(1), QueueId(2)];

const CONSUMER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 1 };
const READER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 2 };
/// The session of the QoS 2 publisher.
const SESSION: QueueId = QueueId(99);
/// Small enough that segments come and go.
const SEGMENT_BYTES: u64 = 16 * 1024;
/// Small enough that backlogs are written out.
const MEMORY_BYTES: i64 = 6 * 1024;
const PAGE_LEN: usize = 4;

/// The disk does not answer any more: the process would stop.
#[derive(Debug)]
pub struct Stopped;

pub struct Node {
    pub(super) log: Log,
    pub(super) shards: [Shard; 2],
    /// What the consumers have and have not settled, oldest first.
    held: Vec<(Delivery, u64)>,
    index: u64,
    /// The last record.
    appended: Position,
    pub seen: Seen,
}

/// What has happened, so that a run shows that it has tried it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    /// Pages written out of memory, and read back.
    pub pages_written: usize,
    pub pages_read: usize,
    /// Queues taken from a snapshot at a start.
    pub restored: usize,
    /// Segments replaced by rewrites.
    pub rewritten: usize,
    /// QoS 2 publishes sent again, and found to be there already.
    pub repeated: usize,
    pub not_placed: usize,
}

pub struct Shard {
    pub(super) state: ShardState,
    pub(super) fx: Effects,
}

/// A message to be published.
#[derive(Debug, Clone, Copy)]
pub struct Publish {
    pub number: u64,
    /// The queues, each a bit.
    pub queues: u64,
    pub bytes: usize,
    /// The packet identifier of a QoS 2 publisher.
    pub packet_id: Option<u16>,
}

impl Node {
    /// Opens the journal and replays it.
    pub fn start(disk: &FaultyDisk) -> Result<Self, Stopped> {
        let mut config = LogConfig::new("/data");
        config.segment_bytes = SEGMENT_BYTES;
        config.rewrite_bytes_per_second = u64::MAX;
        let log = Log::open_on(disk.mount(), config).map_err(Stopped::from)?;
        let shards = QUEUES.map(|queue| {
            let mut state = ShardState::default();
            state.create(queue, QueueSettings { durable: true, ..QueueSettings::default() });
            let fx = Effects {
                resident_bytes_free: MEMORY_BYTES,
                page_len_max: PAGE_LEN,
                ..Effects::default()
            };
            Shard { state, fx }
        });
        let mut node = Node {
            log,
            shards,
            held: Vec::new(),
            index: 0,
            appended: Position(0),
            seen: Seen::default(),
        };
        node.recover()?;
        for queue in QUEUES {
            let Shard { state, fx } = node.shard(queue);
            state.page_out(fx);
            node.carry_out(queue)?;
        }
        Ok(node)
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
                    priority: 0,
                    prefetch: 8,
                    shared: None,
                    window_bytes: usize::MAX / 2,
                    shared_window: None,
                };
                shard.queue(queue).0.consume(CONSUMER, options).unwrap();
            })
            .unwrap_or(());
        }
    }

    /// Publishes a message. Gives what has to be durable before its publisher is told.
    pub fn publish(&mut self, publish: Publish, truth: &mut Truth) -> Result<Position, Stopped> {
        let Publish { number, queues, bytes, packet_id } = publish;
        let message = Arc::new(message(number, bytes));
        let chosen: Vec<QueueId> =
            (0..2).filter(|bit| queues & (1 << bit) != 0).map(|bit| QUEUES[bit]).collect();
        let origin = packet_id.map(|packet_id| Origin {
            packet: Packet { session: SESSION, packet_id },
            shards: chosen.len() as u16,
        });
        let body = (chosen.len() > 1).then(|| {
            let body = self.append(Kind::Body, 0, Urgency::Lazy, |out| write::body(out, &message));
            self.log.retain(body, 1);
            body
        });
        let mut done = Ok(());
        let mut last = self.durable();
        for &queue in &chosen {
            let placements = self.place(queue, &message, origin);
            if placements.is_empty() {
                truth.not_placed(queue, number);
                self.seen.not_placed += 1;
                continue;
            }
            let (stored, promise) = self.record(queue, (origin, &placements), &message, body);
            last = promise;
            truth.publish(queue, number, promise);
            done = done.and(self.post(queue, truth, |shard| {
                let Shard { state, fx } = shard;
                origin.into_iter().for_each(|origin| state.remember(origin, Some(stored)));
                let placements = &mut placements.clone();
                state.publish(0, placements, message.clone(), Some(stored), fx);
                state.pump_published(0, fx);
            }));
        }
        body.into_iter().for_each(|body| self.log.release(body));
        done.map(|()| last)
    }

    fn place(
        &mut self,
        queue: QueueId,
        message: &Arc<Message>,
        origin: Option<Origin>,
    ) -> Vec<Placement> {
        let mut placements = Vec::new();
        let target = [Target { queue, durable: true, subscription: None, deduplication: None }];
        let Shard { state, fx, .. } = self.shard(queue);
        state.place(&target, message, origin, &mut placements, fx);
        assert!(placements.iter().all(|placement| placement.durable));
        placements
    }

    /// Where the message is, and what has to be durable before the publisher is told.
    fn record(
        &mut self,
        queue: QueueId,
        (origin, placements): (Option<Origin>, &[Placement]),
        message: &Message,
        body: Option<Reference>,
    ) -> (Reference, Position) {
        let shard = shard_of(queue);
        let recorded = match body {
            None => self.append(Kind::Publish, shard, Urgency::Promise, |out| {
                write::publish(out, origin, placements, message)
            }),
            Some(body) => self.append(Kind::Enqueue, shard, Urgency::Promise, |out| {
                write::enqueue(out, origin, placements, body.at);
                None
            }),
        };
        let stored = body.unwrap_or(recorded);
        self.log.retain(stored, 1 + u32::from(origin.is_some()));
        (stored, recorded.at)
    }

    /// The publisher releases a packet. Gives what has to be durable before it is told.
    pub fn release(&mut self, packet_id: u16) -> Result<Position, Stopped> {
        let packet = Packet { session: SESSION, packet_id };
        let mut promise = self.durable();
        for queue in QUEUES {
            let Shard { state, fx } = self.shard(queue);
            if state.release(packet, fx) {
                let released =
                    self.append(Kind::Release, shard_of(queue), Urgency::Promise, |out| {
                        write::release(out, packet);
                        None
                    });
                promise = released.at;
            }
            self.carry_out(queue)?;
        }
        Ok(promise)
    }

    /// How many packets are remembered.
    pub fn packets(&self) -> usize {
        self.shards.iter().map(|shard| shard.state.recorded_packets().len()).sum()
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
        let Reference { at, .. } =
            self.append(Kind::Purge, shard_of(queue), Urgency::Promise, |out| {
                write::purge(out, queue, before, &kept);
                None
            });
        let held = self.held.iter().map(|(delivery, number)| (delivery.queue, *number)).collect();
        truth.purged(queue, &held, at);
        self.post(queue, truth, |_| {})
    }

    /// Waits until everything is durable, or never will be.
    pub fn wait_for_disk(&mut self) {
        let nothing = message(0, 8);
        let Reference { at, .. } =
            self.append(Kind::Body, 0, Urgency::Promise, |out| write::body(out, &nothing));
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
        self.record_runs(Kind::Deliver, &mut delivered);
        self.record_runs(Kind::Settle, &mut settled);
        self.write_out(queue);
        let fx = &mut self.shard(queue).fx;
        let released = std::mem::take(&mut fx.released);
        let discarded = std::mem::take(&mut fx.discarded);
        let fetches = std::mem::take(&mut fx.fetches);
        assert!(fx.is_empty(), "deliveries were taken, and nothing else is asked for");
        discarded.into_iter().try_for_each(|page| discard(&self.log, page))?;
        released.into_iter().for_each(|at| self.log.release(at));
        let has_fetched = !fetches.is_empty();
        fetches.into_iter().try_for_each(|fetch| self.fetch(fetch))?;
        Ok(has_fetched)
    }

    fn write_out(&mut self, queue: QueueId) {
        loop {
            let fx = &mut self.shard(queue).fx;
            assert!(fx.spills.is_empty(), "all messages are durable");
            let pages = std::mem::take(&mut fx.pages);
            if pages.is_empty() {
                return;
            }
            self.seen.pages_written += pages.len();
            for page in pages {
                let written = self.append(Kind::Page, shard_of(queue), Urgency::Lazy, |out| {
                    write::page(out, page.queue);
                    Some(&page.entries)
                });
                self.log.retain(written, 1);
                let (target, fx) = self.shard(queue).queue(queue);
                target.paged_out(page.first, written, fx);
            }
        }
    }

    fn fetch(&mut self, fetch: Fetch) -> Result<(), Stopped> {
        let (mut page, mut entries) = (None, fetch.entries);
        if let Some(wanted) = fetch.page {
            let Record::Page { entries: bytes, .. } = read(&self.log, wanted.at)? else {
                panic!("no page at {:?}", wanted.at)
            };
            self.seen.pages_read += 1;
            let read = wanted.read(&bytes).unwrap();
            entries = read.messages(wanted.bytes_max);
            page = Some(read);
        }
        let mut messages = Vec::new();
        for (index, at) in entries {
            let message = read(&self.log, at)?.into_message().unwrap().into_message().unwrap();
            messages.push((index, Some(Arc::new(message))));
        }
        let (target, fx) = self.shard(fetch.queue).queue(fetch.queue);
        page.into_iter().for_each(|page| target.page_fetched(page, fx));
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
    ) -> Reference {
        let mut head = Vec::new();
        let large = write(&mut head).cloned().unwrap_or_default();
        self.index += 1;
        let header =
            RecordHeader { kind: kind as u8, shard, term: 1, index: self.index, timestamp_ms: 0 };
        let parts = [Part::Copied(&head), Part::Shared(&large)];
        self.appended = self.log.append(header, Payload::new(&parts), urgency);
        Reference::new(self.appended, head.len() + large.len(), 1)
    }

    pub(super) fn shard(&mut self, queue: QueueId) -> &mut Shard {
        &mut self.shards[usize::from(shard_of(queue))]
    }
}

impl Shard {
    fn queue(&mut self, id: QueueId) -> (&mut leveret_core::Queue, &mut Effects) {
        (self.state.queue(id).unwrap(), &mut self.fx)
    }

    /// What a replay asks for: references only, as nobody is there to be served.
    pub(super) fn settle_references(&mut self, log: &Log) -> Result<(), Stopped> {
        let fx = &mut self.fx;
        fx.retained.drain(..).for_each(|at| log.retain(at, 1));
        fx.discarded.drain(..).try_for_each(|page| discard(log, page))?;
        fx.released.drain(..).for_each(|at| log.release(at));
        fx.pages.clear();
        assert!(fx.is_empty(), "nobody is there to be served by a replay");
        Ok(())
    }
}

fn discard(log: &Log, page: DiscardedPage) -> Result<(), Stopped> {
    let Record::Page { entries, .. } = read(log, page.at.at)? else {
        panic!("no page at {:?}", page.at)
    };
    page.references(&entries).unwrap().into_iter().for_each(|at| log.release(at));
    log.release(page.at);
    Ok(())
}

fn read(log: &Log, at: Position) -> Result<Record, Stopped> {
    let record = log.read(at).map_err(|error| {
        // What was appended behind a failure is nowhere.
        let has_failed = log.durable().borrow().failed.is_some();
        assert!(has_failed || matches!(error, Error::Io { .. }), "{error}");
        Stopped
    })?;
    assert_eq!(record.at, at);
    Ok(Record::decode(record.header.kind, &record.payload).unwrap())
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
