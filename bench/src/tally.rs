//! What all publishers and consumers of a run count together. They add what they did once for each
//! read or write, not once for each message.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;
use crate::latency::Latency;
use crate::ledger::Ledger;
use crate::stamp::{Run, Stream};

/// The numbers of a run.
#[derive(Debug)]
pub struct Tally {
    /// Which run.
    pub run: Run,
    /// Messages sent.
    pub published: AtomicU64,
    /// Their octets, with what the protocol adds.
    pub published_octets: AtomicU64,
    /// Messages that the broker took responsibility for.
    pub confirmed: AtomicU64,
    /// Messages that came, whichever.
    pub received: AtomicU64,
    /// The octets of their bodies.
    pub received_octets: AtomicU64,
    /// Messages of this run that came, each once.
    pub unique: AtomicU64,
    /// Messages that are not of this run.
    pub foreign: AtomicU64,
    /// Times that the broker told publishers to wait.
    pub blocked: AtomicU64,
    /// From the intended time to the receipt.
    pub times: Latency,
    /// From the intended time to the confirm.
    pub confirm_times: Latency,
    /// Queues, or subscriptions.
    pub ledgers: Vec<Ledger>,
    streams: Vec<Counts>,
    published_until: AtomicU64,
    received_from: AtomicU64,
    received_until: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Counts {
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    /// Nothing has happened.
    pub fn new(run: Run, streams: usize, ledgers: Vec<Ledger>) -> Tally {
        let zero = AtomicU64::default;
        Tally {
            run,
            published: zero(),
            published_octets: zero(),
            confirmed: zero(),
            received: zero(),
            received_octets: zero(),
            unique: zero(),
            foreign: zero(),
            blocked: zero(),
            times: Latency::new(),
            confirm_times: Latency::new(),
            ledgers,
            streams: (0..streams).map(|_| Counts::default()).collect(),
            published_until: zero(),
            received_from: AtomicU64::new(u64::MAX),
            received_until: zero(),
        }
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// A message of this stream was sent.
    pub fn sent(&self, stream: Stream) {
        self.streams[usize::from(stream.0)].sent.fetch_add(1, Relaxed);
    }

    /// The broker did not take it.
    pub fn refused(&self, stream: Stream) {
        self.streams[usize::from(stream.0)].refused.fetch_add(1, Relaxed);
    }

    /// How many it did not take.
    pub fn refusals(&self) -> u64 {
        self.streams.iter().map(|counts| counts.refused.load(Relaxed)).sum()
    }

    /// How many messages are to come to a ledger.
    pub fn expected(&self, ledger: &Ledger) -> u64 {
        let of = |stream: usize| {
            let counts = &self.streams[stream];
            counts.sent.load(Relaxed).saturating_sub(counts.refused.load(Relaxed))
        };
        ledger.streams(self.streams.len()).map(of).sum()
    }

    /// How many messages are to come to all of them.
    pub fn expected_of_all(&self) -> u64 {
        self.ledgers.iter().map(|ledger| self.expected(ledger)).sum()
    }

    /// Something was published now.
    pub fn note_publish(&self, now: Moment) {
        self.published_until.fetch_max(now.0, Relaxed);
    }

    /// Something was received now.
    pub fn note_receipt(&self, now: Moment) {
        self.received_from.fetch_min(now.0, Relaxed);
        self.received_until.fetch_max(now.0, Relaxed);
    }

    /// How long has been published since the start.
    pub fn publishing(&self, start: Moment) -> Duration {
        Moment(self.published_until.load(Relaxed)).since(start)
    }

    /// How long it took from the first message that came to the last.
    pub fn receiving(&self) -> Duration {
        Moment(self.received_until.load(Relaxed)).since(Moment(self.received_from.load(Relaxed)))
    }
}
