//! Entries in few bytes: what a queue keeps of a backlog whose messages are out of memory.
//!
//! The newest entries of a backlog are collected in a [`PageWriter`]. When it is full, its bytes
//! become a page: a record of the journal, of which the queue only keeps where it is and what it
//! covers. The snapshot of a queue writes the entries that are in memory in the same form.
//!
//! An entry is written as its difference from the one before. One that continues the one before in
//! everything (the next place, the next record, the same sizes, the same subscription) is one byte;
//! others are, with integers in LEB128 and differences in zigzag:
//!
//! ```text
//! flags | index - last - 1 | position - end of last | record bytes - last | size - last
//!       | more flags, if MORE
//!       | body - last - (size - last), if BODY
//!       | priority - last, if PRIORITY
//!       | time of expiry - last, if EXPIRES
//!       | deliveries, if DELIVERED
//!       | sequence - last - 1, QoS, if SUBSCRIBED
//!       | merged QoS, as published, number of ids, ids, if SUBSCRIBED and not SAME
//! ```

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::entry::{Entry, NEVER, Stored};
use super::extent::{Extent, PageExtent};
use crate::record::Malformed;
use crate::record::bytes::{Reader, put};
use crate::{EntryIndex, Position, Reference, Subscription};

/// A run of entries that are written out. They are alive: nothing in a page was ever handed out.
#[derive(Debug)]
pub(super) struct Page {
    pub place: Place,
    pub first: EntryIndex,
    pub last: EntryIndex,
    pub extent: PageExtent,
    /// The part of it that needs no settlement: MQTT QoS 0, which a session that is away does not
    /// keep.
    pub unsettled: PageExtent,
    /// The positions of the messages lie between these.
    pub low: Position,
    pub high: Position,
    /// When the first of the entries expires.
    pub expires_at_ms: u64,
    /// Their level.
    pub priority: u8,
    /// It is from before a restart: what was spilled is no more.
    pub is_restored: bool,
}

/// Where a page's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In a box, because most pages are in the journal and are to take little memory.
    Memory(Box<Bytes>),
    Journal(Reference),
}

/// Writes entries, in the order of their indexes.
#[derive(Debug, Default)]
pub(super) struct PageWriter {
    bytes: Vec<u8>,
    last: Last,
    first: EntryIndex,
    extent: Extent,
    unsettled: Extent,
    low: Option<Position>,
    high: Position,
    /// When the first entry expires, as far as any does.
    expires_at_ms: Option<u64>,
}

/// What the next entry is told apart from.
#[derive(Debug, Default)]
struct Last {
    /// One more than the last index.
    next_index: u64,
    next_sequence: u64,
    reference: Option<Reference>,
    size_bytes: u32,
    body_bytes: u32,
    /// 0 if it does not expire.
    expires_at_ms: u64,
    priority: u8,
    qos: u8,
    subscription: Option<Arc<Subscription>>,
    spilled: bool,
    retained: bool,
}

const CONTINUES: u8 = 1;
const SUBSCRIBED: u8 = 2;
const SAME: u8 = 4;
const RETAINED: u8 = 8;
const SPILLED: u8 = 16;
const DELIVERED: u8 = 32;
const RECEIVED: u8 = 64;
const MORE: u8 = 128;

const BODY: u8 = 1;
const PRIORITY: u8 = 2;
const EXPIRES: u8 = 4;

impl Page {
    /// Counts the entries that need no settlement no more, and says what they were.
    pub fn forget_unsettled(&mut self) -> Extent {
        let unsettled = Extent::from(std::mem::take(&mut self.unsettled));
        let mut left = Extent::from(self.extent);
        left -= unsettled;
        self.extent = left.into();
        unsettled
    }
}

impl PageWriter {
    /// As [`Page::forget_unsettled`].
    pub fn forget_unsettled(&mut self) -> Extent {
        let unsettled = std::mem::take(&mut self.unsettled);
        self.extent -= unsettled;
        unsettled
    }

    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// When the first entry expires, and the index of the first.
    pub fn expiry(&self) -> (u64, EntryIndex) {
        (self.expires_at_ms.unwrap_or(NEVER), self.first)
    }

    pub fn first(&self) -> EntryIndex {
        self.first
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds an entry that is stored.
    pub fn push(&mut self, entry: &Entry) {
        let Some(reference) = entry.stored.reference() else { return };
        if self.bytes.is_empty() {
            self.first = entry.index;
        }
        self.extent += entry.extent();
        if !entry.needs_settlement() {
            self.unsettled += entry.extent();
        }
        if entry.expires_at_ms != NEVER {
            let earliest = self.expiry().0.min(entry.expires_at_ms);
            self.expires_at_ms = Some(earliest);
        }
        self.low = Some(self.low.map_or(reference.at, |low| low.min(reference.at)));
        self.high = self.high.max(reference.at);
        self.write(entry, reference);
        self.last.follow(entry, reference);
    }

    /// The page of everything written.
    pub fn finish(self) -> Page {
        Page {
            expires_at_ms: self.expiry().0,
            place: Place::Memory(Box::new(self.bytes.into())),
            first: self.first,
            last: EntryIndex(self.last.next_index - 1),
            extent: self.extent.into(),
            unsettled: self.unsettled.into(),
            low: self.low.unwrap_or_default(),
            high: self.high,
            priority: self.last.priority,
            is_restored: false,
        }
    }

    fn write(&mut self, entry: &Entry, reference: Reference) {
        if self.last.is_continued_by(entry, reference) {
            return self.bytes.push(CONTINUES);
        }
        let (last, out) = (&self.last, &mut self.bytes);
        let same = last.subscription == entry.subscription;
        let body = last.body(entry.size_bytes);
        let expires_at_ms = if entry.expires_at_ms == NEVER { 0 } else { entry.expires_at_ms };
        let more = flag(BODY, entry.body_bytes != body)
            | flag(PRIORITY, entry.priority != last.priority)
            | flag(EXPIRES, expires_at_ms != last.expires_at_ms);
        out.push(
            flag(SUBSCRIBED, entry.subscription.is_some())
                | flag(SAME, same)
                | flag(RETAINED, entry.retained)
                | flag(SPILLED, !entry.is_durable())
                | flag(DELIVERED, entry.deliveries > 0)
                | flag(RECEIVED, entry.received)
                | flag(MORE, more != 0),
        );
        put_difference(out, entry.index.0, last.next_index);
        put_difference(out, reference.at.0, last.end());
        put_difference(out, reference.bytes.into(), last.record_bytes().into());
        put_difference(out, entry.size_bytes.into(), last.size_bytes.into());
        if more != 0 {
            out.push(more);
        }
        if more & BODY != 0 {
            put_difference(out, entry.body_bytes.into(), body.into());
        }
        if more & PRIORITY != 0 {
            put_difference(out, entry.priority.into(), last.priority.into());
        }
        if more & EXPIRES != 0 {
            put_difference(out, expires_at_ms, last.expires_at_ms);
        }
        if entry.deliveries > 0 {
            put(out, entry.deliveries.into());
        }
        let Some(subscription) = &entry.subscription else { return };
        put_difference(out, entry.sequence, last.next_sequence);
        out.push(entry.qos);
        if !same {
            out.extend_from_slice(&[subscription.qos, subscription.retain_as_published.into()]);
            put(out, subscription.ids.len() as u64);
            subscription.ids.iter().for_each(|&id| put(out, id.into()));
        }
    }
}

impl Last {
    fn end(&self) -> u64 {
        self.reference.map_or(0, |last| last.at.0 + u64::from(last.bytes))
    }

    fn record_bytes(&self) -> u32 {
        self.reference.map_or(0, |last| last.bytes)
    }

    /// What the body has if everything else is as large as before.
    fn body(&self, size_bytes: u32) -> u32 {
        let grown = i64::from(size_bytes) - i64::from(self.size_bytes);
        u32::try_from(i64::from(self.body_bytes) + grown).unwrap_or(0)
    }

    fn expires_at_ms(&self) -> u64 {
        if self.expires_at_ms == 0 { NEVER } else { self.expires_at_ms }
    }

    fn is_continued_by(&self, entry: &Entry, reference: Reference) -> bool {
        entry.index.0 == self.next_index
            && reference.at.0 == self.end()
            && reference.bytes == self.record_bytes()
            && entry.size_bytes == self.size_bytes
            && entry.body_bytes == self.body_bytes
            && entry.expires_at_ms == self.expires_at_ms()
            && entry.priority == self.priority
            && entry.deliveries == 0
            && !entry.received
            && entry.qos == self.qos
            && entry.retained == self.retained
            && entry.is_durable() != self.spilled
            && entry.subscription == self.subscription
            && (entry.qos == 0
                || entry.subscription.is_none()
                || entry.sequence == self.next_sequence)
    }

    fn follow(&mut self, entry: &Entry, reference: Reference) {
        self.next_index = entry.index.0 + 1;
        if entry.subscription.is_some() && entry.qos > 0 {
            self.next_sequence = entry.sequence + 1;
        }
        self.reference = Some(reference);
        self.size_bytes = entry.size_bytes;
        self.body_bytes = entry.body_bytes;
        self.expires_at_ms = if entry.expires_at_ms == NEVER { 0 } else { entry.expires_at_ms };
        self.priority = entry.priority;
        self.qos = entry.qos;
        self.spilled = !entry.is_durable();
        self.retained = entry.retained;
        if self.subscription != entry.subscription {
            self.subscription.clone_from(&entry.subscription);
        }
    }
}

/// Reads entries, in the order in which they were written.
///
/// # Errors
/// If the bytes are not of this form.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let (mut reader, mut last, mut entries) = (Reader(bytes), Last::default(), Vec::new());
    while !reader.0.is_empty() {
        let (entry, reference) = read_entry(&mut reader, &last)?;
        last.follow(&entry, reference);
        entries.push(entry);
    }
    Ok(entries)
}

fn read_entry(r: &mut Reader<'_>, last: &Last) -> Result<(Entry, Reference), Malformed> {
    let flags = r.byte()?;
    let has = |flag| flags & flag != 0;
    if has(CONTINUES) {
        let reference = Reference { at: Position(last.end()), bytes: last.record_bytes() };
        return last.next(reference).map(|entry| (entry, reference));
    }
    let index = EntryIndex(counter(r, last.next_index)?);
    let at = Position(counter(r, last.end())?);
    let bytes = narrow(difference(r, last.record_bytes().into())?)?;
    let reference = Reference { at, bytes };
    let size_bytes = narrow(difference(r, last.size_bytes.into())?)?;
    let mut entry = Entry {
        stored: stored(reference, has(SPILLED)),
        size_bytes,
        body_bytes: last.body(size_bytes),
        priority: last.priority,
        expires_at_ms: last.expires_at_ms(),
        retained: has(RETAINED),
        received: has(RECEIVED),
        ..Entry::blank(index)
    };
    if has(MORE) {
        read_more(r, last, &mut entry)?;
    }
    if has(DELIVERED) {
        entry.deliveries = r.narrow()?;
    }
    if has(SUBSCRIBED) {
        entry.sequence = counter(r, last.next_sequence)?;
        entry.qos = r.byte()?;
        entry.subscription = match has(SAME) {
            true => last.subscription.clone(),
            false => Some(Arc::new(read_subscription(r)?)),
        };
        if entry.subscription.is_none() {
            return Err(Malformed);
        }
    }
    Ok((entry, reference))
}

fn read_more(r: &mut Reader<'_>, last: &Last, entry: &mut Entry) -> Result<(), Malformed> {
    let more = r.byte()?;
    if more & BODY != 0 {
        entry.body_bytes = narrow(difference(r, entry.body_bytes.into())?)?;
    }
    if more & PRIORITY != 0 {
        let priority = difference(r, last.priority.into())?;
        entry.priority = u8::try_from(priority).map_err(|_| Malformed)?;
    }
    if more & EXPIRES != 0 {
        entry.expires_at_ms = match difference(r, last.expires_at_ms)? {
            0 => NEVER,
            at_ms => at_ms,
        };
    }
    Ok(())
}

impl Last {
    /// The entry that continues this one in everything.
    fn next(&self, reference: Reference) -> Result<Entry, Malformed> {
        if self.reference.is_none() || reference.at.0 > POSITION_MAX {
            return Err(Malformed);
        }
        let is_numbered = self.subscription.is_some() && self.qos > 0;
        Ok(Entry {
            stored: stored(reference, self.spilled),
            subscription: self.subscription.clone(),
            sequence: if is_numbered { self.next_sequence } else { 0 },
            size_bytes: self.size_bytes,
            body_bytes: self.body_bytes,
            expires_at_ms: self.expires_at_ms(),
            priority: self.priority,
            qos: self.qos,
            retained: self.retained,
            ..Entry::blank(EntryIndex(self.next_index))
        })
    }
}

fn read_subscription(r: &mut Reader<'_>) -> Result<Subscription, Malformed> {
    let (qos, retain_as_published) = (r.byte()?, r.byte()? != 0);
    let mut ids = SmallVec::new();
    for _ in 0..r.narrow::<u16>()? {
        ids.push(r.narrow()?);
    }
    Ok(Subscription { qos, retain_as_published, ids, share: None })
}

fn stored(reference: Reference, spilled: bool) -> Stored {
    if spilled { Stored::Spilled(reference) } else { Stored::Durable(reference) }
}

fn flag(flag: u8, is_set: bool) -> u8 {
    if is_set { flag } else { 0 }
}

fn put_difference(out: &mut Vec<u8>, value: u64, expected: u64) {
    let difference = value.wrapping_sub(expected) as i64;
    put(out, (difference << 1 ^ difference >> 63) as u64);
}

fn difference(r: &mut Reader<'_>, expected: u64) -> Result<u64, Malformed> {
    let zigzag = r.integer()?;
    Ok(expected.wrapping_add((zigzag >> 1) ^ (zigzag & 1).wrapping_neg()))
}

/// A number that can be counted on without an overflow.
fn counter(r: &mut Reader<'_>, expected: u64) -> Result<u64, Malformed> {
    difference(r, expected).and_then(|n| if n > POSITION_MAX { Err(Malformed) } else { Ok(n) })
}

fn narrow(value: u64) -> Result<u32, Malformed> {
    u32::try_from(value).map_err(|_| Malformed)
}

/// Far beyond any journal and any count of messages.
const POSITION_MAX: u64 = u64::MAX >> 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let one = (0..3u64, 0..4u64, any::<[bool; 4]>(), 0..3u8, (0..4u32, 0..3u8, 0..3u64));
        prop::collection::vec(one, 0..40).prop_map(|steps| {
            let (mut index, mut at, mut sequence) = (7, 32, 0);
            let mut entries = Vec::new();
            for (gap, jump, [subscribed, spilled, retained, received], qos, more) in steps {
                let (deliveries, priority, expiry) = more;
                index += 1 + gap;
                at += 64 + 1000 * jump;
                let ids = (0..u32::from(qos)).collect();
                let subscription =
                    Subscription { qos, retain_as_published: retained, ids, share: None };
                let is_numbered = subscribed && qos > 0;
                sequence += u64::from(is_numbered);
                entries.push(Entry {
                    stored: stored(Reference { at: Position(at), bytes: 64 }, spilled),
                    subscription: subscribed.then(|| Arc::new(subscription)),
                    sequence: if is_numbered { sequence } else { 0 },
                    size_bytes: 300 + deliveries,
                    body_bytes: 40 * deliveries,
                    expires_at_ms: if expiry == 0 { NEVER } else { 1000 - expiry },
                    priority,
                    deliveries,
                    qos: if subscribed { qos } else { 1 },
                    retained,
                    received,
                    ..Entry::blank(EntryIndex(index))
                });
            }
            entries
        })
    }

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(entries in entries()) {
            let mut writer = PageWriter::default();
            entries.iter().for_each(|entry| writer.push(entry));
            let read = read(writer.bytes()).unwrap();
            prop_assert_eq!(format!("{:?}", read), format!("{:?}", entries));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            _ = read(&bytes);
        }
    }

    #[test]
    fn a_page_takes_little_memory() {
        assert!(size_of::<Page>() <= 96, "{}", size_of::<Page>());
    }

    #[test]
    fn an_entry_that_continues_the_one_before_takes_a_byte() {
        let mut writer = PageWriter::default();
        for number in 0..1000 {
            let reference = Reference { at: Position(32 + 200 * number), bytes: 200 };
            writer.push(&Entry {
                stored: Stored::Durable(reference),
                size_bytes: 356,
                body_bytes: 90,
                ..Entry::blank(EntryIndex(number))
            });
        }
        assert!(writer.bytes().len() < 1020, "{}", writer.bytes().len());
        assert_eq!(writer.finish().last, EntryIndex(999));
    }
}
