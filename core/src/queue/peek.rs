//! Looking at what waits without taking it: nothing of the queue changes.
//!
//! What is in memory is given as it is. Of what is in the journal the queue gives the places, for
//! somebody who may wait for the disk: pages are passed over as a whole where they can be.

use std::sync::Arc;

use bytes::Bytes;

use super::Queue;
use super::entry::Entry;
use super::extent::Extent;
use super::page::{self, Page, Place};
use crate::record::Malformed;
use crate::{Message, Position};

/// One or more messages that wait, in the order in which they would be handed out.
#[derive(Debug)]
pub enum Peeked {
    /// A message.
    One(PeekedMessage),
    /// Some that are written out.
    Page(PeekedPage),
}

/// A message that waits: in memory, or in the journal.
#[derive(Debug)]
pub struct PeekedMessage {
    /// The message, if it is in memory.
    pub message: Option<Arc<Message>>,
    /// Its record, if there is one.
    pub at: Option<Position>,
    /// It was handed out before.
    pub redelivered: bool,
}

/// A part of a page.
#[derive(Debug)]
pub struct PeekedPage {
    /// Where it is; `None` if it is not in the journal yet.
    pub at: Option<Position>,
    /// Its entries, if they are not in the journal yet.
    pub entries: Option<Bytes>,
    skip: usize,
    take: usize,
    durable_only: bool,
}

impl PeekedPage {
    /// The records of the messages, by the entries of the page.
    ///
    /// # Errors
    /// If these are not entries.
    pub fn positions(&self, entries: &Bytes) -> Result<Vec<Position>, Malformed> {
        let entries = page::read(entries)?;
        let alive = entries.iter().filter(|entry| !self.durable_only || entry.is_durable());
        let wanted = alive.skip(self.skip).take(self.take);
        Ok(wanted.filter_map(|entry| Some(entry.stored.reference()?.at)).collect())
    }
}

impl Queue {
    /// What stands behind the first `offset` messages that wait, up to `count`. Some of it may have
    /// expired.
    pub fn peek(&self, offset: usize, count: usize) -> Vec<Peeked> {
        let mut peek = Peek { offset, count, found: Vec::new() };
        for level in self.ready.levels() {
            if peek.count == 0 {
                break;
            }
            let back = level.back().map(|back| page::read(back.bytes()).unwrap_or_default());
            // Each of them ends as soon as there is enough.
            _ = level.in_front().all(|entry| peek.take(entry))
                && level.pages.iter().all(|page| peek.take_page(page))
                && back.iter().flatten().all(|entry| peek.take(entry))
                && level.unspilled().all(|entry| peek.take(entry));
        }
        peek.found
    }
}

struct Peek {
    offset: usize,
    count: usize,
    found: Vec<Peeked>,
}

impl Peek {
    /// Says whether more is wanted.
    fn take(&mut self, entry: &Entry) -> bool {
        if self.count == 0 {
            return false;
        }
        if self.offset > 0 {
            self.offset -= 1;
            return true;
        }
        self.count -= 1;
        self.found.push(Peeked::One(PeekedMessage {
            message: entry.message.clone(),
            at: entry.stored.reference().map(|reference| reference.at),
            redelivered: entry.deliveries > 0,
        }));
        true
    }

    fn take_page(&mut self, page: &Page) -> bool {
        if self.count == 0 {
            return false;
        }
        let len = Extent::from(page.extent).len as usize;
        if self.offset >= len {
            self.offset -= len;
            return true;
        }
        let skip = std::mem::take(&mut self.offset);
        let take = (len - skip).min(self.count);
        self.count -= take;
        let (at, entries) = match &page.place {
            Place::Journal(reference) => (Some(reference.at), None),
            Place::Memory(entries) => (None, Some((**entries).clone())),
        };
        let durable_only = page.is_restored;
        self.found.push(Peeked::Page(PeekedPage { at, entries, skip, take, durable_only }));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{GETTER, publish, queue};
    use super::*;
    use crate::{Effects, Got, QueueSettings, Settlement};

    fn positions(queue: &Queue, offset: usize, count: usize) -> Vec<u64> {
        let peeked = queue.peek(offset, count).into_iter().flat_map(|peeked| match peeked {
            Peeked::One(one) => vec![one.at.unwrap()],
            Peeked::Page(page) => page.positions(page.entries.as_ref().unwrap()).unwrap(),
        });
        peeked.map(|at| at.0).collect()
    }

    #[test]
    fn what_waits_is_seen_in_order_wherever_it_is() {
        let mut queue = queue(QueueSettings::default());
        let mut fx = Effects { resident_bytes_free: 2_000, page_len_max: 4, ..Effects::default() };
        (1..=30).for_each(|number| publish(&mut queue, number, 0, &mut fx));
        assert!(queue.ready.levels().next().unwrap().pages.len() > 1);
        assert_eq!(positions(&queue, 0, 100), (1..=30).collect::<Vec<_>>());
        for (offset, count) in [(0, 1), (2, 9), (7, 3), (13, 14), (28, 5), (30, 1), (99, 1)] {
            let expected: Vec<u64> = (1..=30).skip(offset).take(count).collect();
            assert_eq!(positions(&queue, offset, count), expected, "{offset} {count}");
        }
        assert_eq!(queue.stats().ready, 30);
    }

    #[test]
    fn what_came_back_is_in_its_old_place_and_marked() {
        let mut queue = queue(QueueSettings::default());
        let mut fx = Effects { resident_bytes_free: 1 << 20, ..Effects::default() };
        (1..=4).for_each(|number| publish(&mut queue, number, 0, &mut fx));
        for settlement in [Settlement::Requeue, Settlement::Ack] {
            let Got::Message(got, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
            queue.settle(GETTER, got.index, settlement, &mut fx);
        }
        assert_eq!(positions(&queue, 0, 9), [2, 3, 4]);
        let Got::Message(first, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
        let Got::Message(second, _) = queue.get(GETTER, false, 0, &mut fx) else { panic!() };
        queue.settle(GETTER, second.index, Settlement::Requeue, &mut fx);
        queue.settle(GETTER, first.index, Settlement::Requeue, &mut fx);
        assert_eq!(positions(&queue, 0, 9), [2, 3, 4]);
        let marked = queue.peek(0, 9).into_iter().map(|peeked| match peeked {
            Peeked::One(one) => one.redelivered,
            Peeked::Page(_) => false,
        });
        assert_eq!(marked.collect::<Vec<_>>(), [true, true, false]);
    }
}
