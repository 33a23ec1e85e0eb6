//! What consumers of both protocols share: which messages have come, when, and in which order.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::Moment;
use crate::stamp::{LENGTH, Stamp};
use crate::tally::Tally;

/// What a consumer knows, apart from its protocol.
#[derive(Debug)]
pub struct Consumer {
    tally: Arc<Tally>,
    /// For each stream, one more than the last sequence number that came here.
    expected: Vec<u64>,
    times: Vec<Duration>,
    messages: u64,
    octets: u64,
}

impl Consumer {
    /// Nothing has come.
    pub fn new(tally: Arc<Tally>) -> Consumer {
        let expected = vec![0; tally.streams()];
        Consumer { tally, expected, times: Vec::new(), messages: 0, octets: 0 }
    }

    /// A message has come to the ledger of this number. `head` is how its body begins; a
    /// `redelivered` one may be out of order, or the second copy: but it is counted all the same.
    pub fn received(&mut self, now: Moment, ledger: usize, body: Body<'_>) {
        self.messages += 1;
        self.octets += body.length;
        let Some(head) = body.head.first_chunk::<LENGTH>() else { return self.foreign() };
        let stamp = Stamp::read(head);
        let Some(ledger) = self.tally.ledgers.get(ledger) else { return self.foreign() };
        let Some(index) = ledger.index(stamp.stream).filter(|_| stamp.run == self.tally.run) else {
            return self.foreign();
        };
        let mut page = ledger.lock();
        match page.note(index, stamp.sequence) {
            None => {
                drop(page);
                return self.foreign();
            }
            Some(false) => return,
            Some(true) => {}
        }
        let Some(expected) = self.expected.get_mut(usize::from(stamp.stream.0)) else { return };
        if stamp.sequence < *expected {
            page.out_of_order += 1;
        } else {
            *expected = stamp.sequence + 1;
        }
        self.times.push(now.since(stamp.intended));
    }

    /// Tells others what has come, once for all of an input.
    pub fn flush(&mut self, now: Moment) {
        if self.messages == 0 {
            return;
        }
        self.tally.received.fetch_add(self.messages, Relaxed);
        self.tally.received_octets.fetch_add(self.octets, Relaxed);
        self.tally.unique.fetch_add(self.times.len() as u64, Relaxed);
        self.tally.note_receipt(now);
        self.tally.times.record(self.times.drain(..));
        (self.messages, self.octets) = (0, 0);
    }

    fn foreign(&self) {
        self.tally.foreign.fetch_add(1, Relaxed);
    }
}

/// The body of a message.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// How it begins.
    pub head: &'a [u8],
    /// How long it is.
    pub length: u64,
}
