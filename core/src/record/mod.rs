//! What the journal keeps: versioned records, written by shards and by the topology.
//!
//! ```text
//! kind     payload (integers LEB128, slices with their length before them)
//! Topology JSON of a TopologyCommand
//! Publish  origin, placements, message            one shard: the usual case
//! Body     message                                several shards: the message once …
//! Enqueue  origin, placements, position of Body   … and a reference from each shard
//! Spill    message                                to save memory, forgotten by a restart
//! Settle   queue, runs of indexes                 done with
//! Deliver  queue, runs of indexes                 handed out
//! Receive  queue, runs of indexes                 taken over by an MQTT QoS 2 receiver
//! Release  session queue, packet id               released by an MQTT QoS 2 sender
//! Purge    queue, next index, entries that stay
//! Retain   vhost, message                         the key is the message's routing key
//! Unretain vhost, key
//! Page     queue, entries                         a piece of a backlog, written out of memory
//! Commit   Enqueues, Settles                      a transaction: all of it or nothing
//! Session  queue, since when it is away, will     an MQTT session: the last one counts
//! Batch    JSON of TopologyCommands                 all of them or nothing
//! ```
//!
//! Only in snapshots:
//!
//! ```text
//! Control  position                               what the topology and the retained are as of
//! Queue    queue, position, state                 as of when; the rest is the queue's own
//! Packets  shard, position, packets with shards and reference
//! Retained vhost, key, reference                  where the message is
//! ```
//!
//! A message is `facts, exchange, key, encoding, properties, body`; the body is the rest of the
//! payload, so that a large one is appended without a copy.

pub(crate) mod bytes;
mod message;
mod placement;
mod session;

use ::bytes::Bytes;
use smallvec::SmallVec;

use crate::{EntryIndex, Message, Position, QueueId, Reference, ShardId, TopologyCommand};
use bytes::{Reader, put, put_slice};

pub use message::RecordedMessage;
pub use placement::{Placements, RecordedPlacement};
pub use session::{RecordedWill, SessionRecord, WillParts};

/// What a record is; the number is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the module's documentation lists them")]
pub enum Kind {
    Topology = 1,
    Publish = 2,
    Body = 3,
    Enqueue = 4,
    Spill = 5,
    Settle = 6,
    Deliver = 7,
    Receive = 8,
    Release = 9,
    Purge = 10,
    Retain = 11,
    Unretain = 12,
    Page = 13,
    Control = 14,
    Queue = 15,
    Packets = 16,
    Retained = 17,
    Commit = 18,
    Session = 19,
    Batch = 20,
}

/// A packet of an MQTT QoS 2 publisher, remembered until it is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Packet {
    /// The publisher's session.
    pub session: QueueId,
    /// Its packet identifier; not 0.
    pub packet_id: u16,
}

/// A packet and how many shards its message goes to durably. After a crash it counts as published
/// only if all of them have it: if not, its publisher was not told, and will repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The packet.
    pub packet: Packet,
    /// How many shards record it.
    pub shards: u16,
}

/// A record, read back.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the module's documentation draws them")]
pub enum Record {
    Topology(TopologyCommand),
    Publish { origin: Option<Origin>, placements: Placements, message: RecordedMessage },
    Body(RecordedMessage),
    Enqueue { origin: Option<Origin>, placements: Placements, at: Position },
    Spill(RecordedMessage),
    Settle { queue: QueueId, runs: Vec<Run> },
    Deliver { queue: QueueId, runs: Vec<Run> },
    Receive { queue: QueueId, runs: Vec<Run> },
    Release(Packet),
    Purge { queue: QueueId, before: EntryIndex, kept: Vec<EntryIndex> },
    Retain { vhost: String, message: RecordedMessage },
    Unretain { vhost: String, key: String },
    Page { queue: QueueId, entries: Bytes },
    Control(Position),
    Queue { queue: QueueId, as_of: Position, state: Bytes },
    Packets { shard: ShardId, as_of: Position, packets: Vec<RememberedPacket> },
    Retained { vhost: String, key: String, at: Reference },
    Commit { enqueued: Vec<(Placements, Position)>, settled: Vec<(QueueId, Vec<Run>)> },
    Session(SessionRecord),
    Batch(Vec<TopologyCommand>),
}

/// A QoS 2 packet that is remembered, and the record that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RememberedPacket {
    /// The packet, and how many shards have it.
    pub origin: Origin,
    /// Its record.
    pub at: Reference,
}

/// `len` entries from `first` on, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first index.
    pub first: EntryIndex,
    /// How many; at least 1.
    pub len: u64,
}

/// A record's payload does not make sense although its checksum was right: it comes from another
/// version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a journal record of an unknown form")]
pub struct Malformed;

impl Record {
    /// Reads a record of a kind.
    ///
    /// # Errors
    /// If the kind is unknown or the payload is not of its form.
    pub fn decode(kind: u8, payload: &Bytes) -> Result<Record, Malformed> {
        let mut reader = Reader(payload);
        let r = &mut reader;
        Ok(match Kind::try_from(kind)? {
            Kind::Topology => {
                Record::Topology(TopologyCommand::from_json(payload).map_err(|_| Malformed)?)
            }
            Kind::Publish => {
                let (origin, placements) = placement::read(r)?;
                Record::Publish { origin, placements, message: message::read(r, payload)? }
            }
            Kind::Body => Record::Body(message::read(r, payload)?),
            Kind::Enqueue => {
                let (origin, placements) = placement::read(r)?;
                Record::Enqueue { origin, placements, at: Position(r.integer()?) }
            }
            Kind::Spill => Record::Spill(message::read(r, payload)?),
            Kind::Settle => Record::Settle { queue: QueueId(r.integer()?), runs: read_runs(r)? },
            Kind::Deliver => Record::Deliver { queue: QueueId(r.integer()?), runs: read_runs(r)? },
            Kind::Receive => Record::Receive { queue: QueueId(r.integer()?), runs: read_runs(r)? },
            Kind::Release => {
                Record::Release(Packet { session: QueueId(r.integer()?), packet_id: r.narrow()? })
            }
            Kind::Purge => Record::Purge {
                queue: QueueId(r.integer()?),
                before: EntryIndex(r.counter()?),
                kept: read_indexes(r)?,
            },
            Kind::Retain => {
                let vhost = r.text()?.to_owned();
                Record::Retain { vhost, message: message::read(r, payload)? }
            }
            Kind::Unretain => {
                Record::Unretain { vhost: r.text()?.to_owned(), key: r.text()?.to_owned() }
            }
            Kind::Page => Record::Page { queue: QueueId(r.integer()?), entries: rest(r, payload) },
            Kind::Control => Record::Control(Position(r.counter()?)),
            Kind::Queue => Record::Queue {
                queue: QueueId(r.integer()?),
                as_of: Position(r.counter()?),
                state: rest(r, payload),
            },
            Kind::Packets => Record::Packets {
                shard: read_shard(r)?,
                as_of: Position(r.counter()?),
                packets: r.list(read_packet)?,
            },
            Kind::Retained => {
                let (vhost, key) = (r.text()?.to_owned(), r.text()?.to_owned());
                Record::Retained { vhost, key, at: read_reference(r)? }
            }
            Kind::Commit => Record::Commit {
                enqueued: r.list(read_enqueue)?,
                settled: r.list(|r| Ok((QueueId(r.integer()?), read_runs(r)?)))?,
            },
            Kind::Session => Record::Session(session::read(r, payload)?),
            Kind::Batch => {
                Record::Batch(TopologyCommand::batch_from_json(payload).map_err(|_| Malformed)?)
            }
        })
    }

    /// The queues that a shard's record is about; `None` if it is about all of a shard.
    pub fn queues(&self) -> Option<SmallVec<[QueueId; 1]>> {
        match self {
            Record::Publish { placements, .. } | Record::Enqueue { placements, .. } => {
                Some(placements.iter().map(|placement| placement.0.queue).collect())
            }
            Record::Settle { queue, .. }
            | Record::Deliver { queue, .. }
            | Record::Receive { queue, .. }
            | Record::Purge { queue, .. } => Some(SmallVec::from_elem(*queue, 1)),
            Record::Commit { enqueued, settled } => {
                let places = enqueued.iter().flat_map(|(placements, _)| placements);
                let enqueued = places.map(|placement| placement.0.queue);
                Some(enqueued.chain(settled.iter().map(|(queue, _)| *queue)).collect())
            }
            Record::Release(_) => None,
            Record::Topology(_)
            | Record::Batch(_)
            | Record::Body(_)
            | Record::Spill(_)
            | Record::Retain { .. }
            | Record::Unretain { .. }
            | Record::Page { .. }
            | Record::Control(_)
            | Record::Queue { .. }
            | Record::Packets { .. }
            | Record::Retained { .. }
            | Record::Session(_) => Some(SmallVec::new()),
        }
    }

    /// The message in a record that has one.
    pub fn into_message(self) -> Option<RecordedMessage> {
        match self {
            Record::Publish { message, .. }
            | Record::Body(message)
            | Record::Spill(message)
            | Record::Retain { message, .. } => Some(message),
            _ => None,
        }
    }
}

impl TryFrom<u8> for Kind {
    type Error = Malformed;

    fn try_from(kind: u8) -> Result<Kind, Malformed> {
        use Kind::*;
        const KINDS: [Kind; 20] = [
            Topology, Publish, Body, Enqueue, Spill, Settle, Deliver, Receive, Release, Purge,
            Retain, Unretain, Page, Control, Queue, Packets, Retained, Commit, Session, Batch,
        ];
        KINDS.into_iter().find(|&known| known as u8 == kind).ok_or(Malformed)
    }
}

/// Writers of payloads. Those of a message give its large body back, to be appended as it is.
pub mod write {
    use super::*;
    use crate::Placement;

    /// The payload of [`Kind::Topology`].
    pub fn topology(out: &mut Vec<u8>, command: &TopologyCommand) {
        out.extend_from_slice(&command.to_json());
    }

    /// The payload of [`Kind::Batch`].
    pub fn batch(out: &mut Vec<u8>, commands: &[TopologyCommand]) {
        out.extend_from_slice(&TopologyCommand::batch_to_json(commands));
    }

    /// The payload of [`Kind::Publish`]. Only durable placements are recorded.
    pub fn publish<'a>(
        out: &mut Vec<u8>,
        origin: Option<Origin>,
        placements: &[Placement],
        message: &'a Message,
    ) -> Option<&'a Bytes> {
        placement::put_all(out, origin, placements);
        message::put(out, message)
    }

    /// The payload of [`Kind::Body`] and [`Kind::Spill`].
    pub fn body<'a>(out: &mut Vec<u8>, message: &'a Message) -> Option<&'a Bytes> {
        message::put(out, message)
    }

    /// The payload of [`Kind::Enqueue`].
    pub fn enqueue(
        out: &mut Vec<u8>,
        origin: Option<Origin>,
        placements: &[Placement],
        at: Position,
    ) {
        placement::put_all(out, origin, placements);
        put(out, at.0);
    }

    /// The payload of [`Kind::Commit`]: where messages go and where their bodies are, and what is
    /// done with. Only durable placements are recorded.
    pub fn commit<'a>(
        out: &mut Vec<u8>,
        enqueued: impl ExactSizeIterator<Item = (&'a [Placement], Position)>,
        settled: &[(QueueId, impl AsRef<[Run]>)],
    ) {
        put(out, enqueued.len() as u64);
        enqueued.for_each(|(placements, at)| enqueue(out, None, placements, at));
        put(out, settled.len() as u64);
        settled.iter().for_each(|(queue, queue_runs)| runs(out, *queue, queue_runs.as_ref()));
    }

    /// The payload of [`Kind::Settle`], [`Kind::Deliver`] and [`Kind::Receive`].
    pub fn runs(out: &mut Vec<u8>, queue: QueueId, runs: &[Run]) {
        put(out, queue.0);
        put(out, runs.len() as u64);
        for run in runs {
            put(out, run.first.0);
            put(out, run.len);
        }
    }

    /// The payload of [`Kind::Session`].
    pub fn session<'a>(
        out: &mut Vec<u8>,
        queue: QueueId,
        away_since_ms: Option<u64>,
        will: Option<WillParts<'a>>,
    ) -> Option<&'a Bytes> {
        session::put(out, (queue, away_since_ms), will)
    }

    /// The payload of [`Kind::Release`].
    pub fn release(out: &mut Vec<u8>, packet: Packet) {
        put(out, packet.session.0);
        put(out, u64::from(packet.packet_id));
    }

    /// The payload of [`Kind::Purge`].
    pub fn purge(out: &mut Vec<u8>, queue: QueueId, before: EntryIndex, kept: &[EntryIndex]) {
        put(out, queue.0);
        put(out, before.0);
        put(out, kept.len() as u64);
        kept.iter().for_each(|index| put(out, index.0));
    }

    /// The payload of [`Kind::Retain`].
    pub fn retain<'a>(out: &mut Vec<u8>, vhost: &str, message: &'a Message) -> Option<&'a Bytes> {
        put_slice(out, vhost.as_bytes());
        message::put(out, message)
    }

    /// The payload of [`Kind::Unretain`].
    pub fn unretain(out: &mut Vec<u8>, vhost: &str, key: &str) {
        put_slice(out, vhost.as_bytes());
        put_slice(out, key.as_bytes());
    }

    /// The payload of [`Kind::Page`] but for the entries, which follow.
    pub fn page(out: &mut Vec<u8>, queue: QueueId) {
        put(out, queue.0);
    }

    /// The payload of [`Kind::Control`].
    pub fn control(out: &mut Vec<u8>, as_of: Position) {
        put(out, as_of.0);
    }

    /// The payload of [`Kind::Queue`] but for the state, which follows.
    pub fn queue(out: &mut Vec<u8>, queue: QueueId, as_of: Position) {
        put(out, queue.0);
        put(out, as_of.0);
    }

    /// The payload of [`Kind::Packets`].
    pub fn packets(
        out: &mut Vec<u8>,
        shard: ShardId,
        as_of: Position,
        packets: &[RememberedPacket],
    ) {
        put(out, shard.0.into());
        put(out, as_of.0);
        put(out, packets.len() as u64);
        for RememberedPacket { origin, at } in packets {
            release(out, origin.packet);
            put(out, origin.shards.into());
            reference(out, *at);
        }
    }

    /// The payload of [`Kind::Retained`].
    pub fn retained(out: &mut Vec<u8>, vhost: &str, key: &str, at: Reference) {
        unretain(out, vhost, key);
        reference(out, at);
    }

    pub(crate) fn reference(out: &mut Vec<u8>, reference: Reference) {
        put(out, reference.at.0);
        put(out, reference.bytes.into());
    }
}

/// Turns entries of queues into one list of runs per queue. The order of the entries within a queue
/// does not matter.
pub fn runs_by_queue(
    entries: &mut [(QueueId, EntryIndex)],
) -> impl Iterator<Item = (QueueId, Runs)> {
    entries.sort_unstable();
    entries.chunk_by(|(queue, _), (other, _)| queue == other).map(|entries| {
        let mut runs = Runs::new();
        for &(_, index) in entries {
            match runs.last_mut() {
                Some(run) if run.first.0 + run.len == index.0 => run.len += 1,
                _ => runs.push(Run { first: index, len: 1 }),
            }
        }
        (entries[0].0, runs)
    })
}

/// The runs of one queue.
pub type Runs = SmallVec<[Run; 4]>;

impl Run {
    /// Whether an index is in the run.
    pub fn contains(self, index: EntryIndex) -> bool {
        index.0.checked_sub(self.first.0).is_some_and(|offset| offset < self.len)
    }

    /// The last index of the run.
    pub fn last(self) -> EntryIndex {
        EntryIndex(self.first.0.saturating_add(self.len.saturating_sub(1)))
    }

    /// The indexes of the run.
    pub fn indexes(self) -> impl Iterator<Item = EntryIndex> {
        (self.first.0..self.first.0.saturating_add(self.len)).map(EntryIndex)
    }
}

/// A transaction has no origin.
fn read_enqueue(r: &mut Reader<'_>) -> Result<(Placements, Position), Malformed> {
    let (_, placements) = placement::read(r)?;
    Ok((placements, Position(r.counter()?)))
}

fn read_runs(r: &mut Reader<'_>) -> Result<Vec<Run>, Malformed> {
    r.list(|r| Ok(Run { first: EntryIndex(r.counter()?), len: r.counter()? }))
}

/// Shards are counted from 1.
fn read_shard(r: &mut Reader<'_>) -> Result<ShardId, Malformed> {
    match r.narrow()? {
        0 => Err(Malformed),
        shard => Ok(ShardId(shard)),
    }
}

fn read_packet(r: &mut Reader<'_>) -> Result<RememberedPacket, Malformed> {
    let packet = Packet { session: QueueId(r.integer()?), packet_id: r.narrow()? };
    let origin = Origin { packet, shards: r.narrow()? };
    Ok(RememberedPacket { origin, at: read_reference(r)? })
}

pub(crate) fn read_reference(r: &mut Reader<'_>) -> Result<Reference, Malformed> {
    Ok(Reference { at: Position(r.counter()?), bytes: r.narrow()? })
}

/// What is left of a payload.
fn rest(r: &Reader<'_>, payload: &Bytes) -> Bytes {
    payload.slice(payload.len() - r.0.len()..)
}

fn read_indexes(r: &mut Reader<'_>) -> Result<Vec<EntryIndex>, Malformed> {
    r.list(|r| r.counter().map(EntryIndex))
}
