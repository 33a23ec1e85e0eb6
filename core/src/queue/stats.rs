//! What management is told of a queue, and what the queue counts for that.

use std::ops::AddAssign;

use super::Queue;

/// Counts for management, read on demand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that wait.
    pub ready: usize,
    /// Messages that were handed out and wait for settlement.
    pub unacked: usize,
    /// The size of the waiting messages.
    pub ready_bytes: u64,
    /// The size of the messages that wait for settlement.
    pub unacked_bytes: u64,
    /// The size of the messages that are in memory, waiting or in flight.
    pub resident_bytes: u64,
    /// Consumers.
    pub consumers: usize,
    /// When it was last used or looked after, in milliseconds since the Unix epoch; 0 for never since
    /// the start.
    pub pumped_at_ms: u64,
    /// Messages ever published to it.
    pub published: u64,
    /// Messages ever handed out to consumers that have to settle them.
    pub delivered: u64,
    /// Messages ever handed out to other consumers.
    pub delivered_no_ack: u64,
    /// Messages ever handed out that were handed out before.
    pub redelivered: u64,
    /// Messages ever handed out by get, to be settled.
    pub got: u64,
    /// Messages ever handed out by get for good.
    pub got_no_ack: u64,
    /// Gets that found nothing.
    pub got_empty: u64,
    /// Messages ever acknowledged.
    pub acked: u64,
}

impl QueueStats {
    /// Messages ever handed out to consumers.
    pub fn delivered_in_all(&self) -> u64 {
        self.delivered + self.delivered_no_ack
    }

    /// Messages ever handed out, whichever way.
    pub fn handed_out(&self) -> u64 {
        self.delivered_in_all() + self.got + self.got_no_ack
    }
}

impl AddAssign for QueueStats {
    fn add_assign(&mut self, other: QueueStats) {
        self.ready += other.ready;
        self.unacked += other.unacked;
        self.ready_bytes += other.ready_bytes;
        self.unacked_bytes += other.unacked_bytes;
        self.resident_bytes += other.resident_bytes;
        self.consumers += other.consumers;
        self.pumped_at_ms = self.pumped_at_ms.max(other.pumped_at_ms);
        self.published += other.published;
        self.delivered += other.delivered;
        self.delivered_no_ack += other.delivered_no_ack;
        self.redelivered += other.redelivered;
        self.got += other.got;
        self.got_no_ack += other.got_no_ack;
        self.got_empty += other.got_empty;
        self.acked += other.acked;
    }
}

/// What cannot be told from what is in a queue. As [`QueueStats`] has it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub pumped_at_ms: u64,
    pub published: u64,
    pub delivered: u64,
    pub delivered_no_ack: u64,
    pub redelivered: u64,
    pub got: u64,
    pub got_no_ack: u64,
    pub got_empty: u64,
    pub acked: u64,
}

impl Counts {
    /// Messages ever handed out to consumers.
    pub fn delivered_in_all(&self) -> u64 {
        self.delivered + self.delivered_no_ack
    }
}

impl Queue {
    /// Counts for management.
    pub fn stats(&self) -> QueueStats {
        let ready = self.ready.extent();
        QueueStats {
            ready: self.ready.len(),
            unacked: self.unacked.len(),
            ready_bytes: ready.size_bytes,
            unacked_bytes: self.unacked.bytes(),
            resident_bytes: self.resident_bytes as u64,
            consumers: self.consumers.len(),
            pumped_at_ms: self.counts.pumped_at_ms,
            published: self.counts.published,
            delivered: self.counts.delivered,
            delivered_no_ack: self.counts.delivered_no_ack,
            redelivered: self.counts.redelivered,
            got: self.counts.got,
            got_no_ack: self.counts.got_no_ack,
            got_empty: self.counts.got_empty,
            acked: self.counts.acked,
        }
    }
}
