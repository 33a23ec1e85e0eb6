//! What a client knows of one of its channels.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Ledger, MessageId};
use super::step::How;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Channel {
    pub mode: Mode,
    pub last_tag: u64,
    /// Deliveries that are to be settled; those of a kept queue with their message.
    pub held: BTreeMap<u64, Option<MessageId>>,
    /// Consumer tags that may deliver, and whether their deliveries are settled at once.
    pub consumers: BTreeMap<String, bool>,
    /// Whether what the last get brings is settled at once.
    pub gets_no_ack: bool,
    /// What was published in a transaction.
    pub uncommitted: Vec<MessageId>,
    /// What was settled in it.
    pub settled: Vec<(u64, Option<MessageId>, How)>,
    /// Publishes that are to be confirmed, and how many of them are.
    pub published: u64,
    pub confirmed: BTreeSet<u64>,
    pub confirmed_through: u64,
}

/// What publishes and settlements of a channel mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Plain,
    Confirm,
    Transactional,
}

impl Channel {
    /// A message was published to a kept queue.
    pub fn publish(&mut self, ledger: &mut Ledger, id: MessageId) {
        self.count_publish();
        match self.mode {
            Mode::Transactional => self.uncommitted.push(id),
            _ => ledger.accept(id),
        }
    }

    pub fn count_publish(&mut self) {
        self.published += u64::from(self.mode == Mode::Confirm);
    }

    /// Deliveries up to a tag, or one, are settled.
    pub fn settle(&mut self, ledger: &mut Ledger, (tag, multiple): (u64, bool), how: How) {
        let tags: Vec<u64> = match multiple {
            true => self.held.range(..=tag).map(|(tag, _)| *tag).collect(),
            false => vec![tag],
        };
        for tag in tags {
            let id = self.held.remove(&tag).expect("it is held");
            match (self.mode, id) {
                (Mode::Transactional, _) => self.settled.push((tag, id, how)),
                (_, Some(id)) => apply(ledger, id, how),
                (_, None) => {}
            }
        }
    }

    /// The transaction is being committed: what it requeues may come again at once.
    pub fn begin_commit(&mut self, ledger: &mut Ledger) {
        let requeued = self.settled.iter().filter(|(_, _, how)| *how == How::Requeue);
        requeued.filter_map(|(_, id, _)| *id).for_each(|id| ledger.requeue(id));
        self.settled.retain(|(_, _, how)| *how != How::Requeue);
    }

    pub fn end_commit(&mut self, ledger: &mut Ledger) {
        std::mem::take(&mut self.uncommitted).into_iter().for_each(|id| ledger.accept(id));
        for (_, id, how) in std::mem::take(&mut self.settled) {
            id.into_iter().for_each(|id| apply(ledger, id, how));
        }
    }

    pub fn roll_back(&mut self) {
        self.uncommitted.clear();
        self.held.extend(self.settled.drain(..).map(|(tag, id, _)| (tag, id)));
    }

    /// Everything that is held goes back, but for what a transaction settles.
    pub fn recover(&mut self, ledger: &mut Ledger) {
        let held = std::mem::take(&mut self.held).into_values();
        held.flatten().for_each(|id| ledger.requeue(id));
    }

    /// The channel ends.
    pub fn end(&mut self, ledger: &mut Ledger) {
        self.roll_back();
        self.recover(ledger);
    }

    /// A basic.ack or basic.nack of the broker.
    pub fn confirm(&mut self, sequence: u64, multiple: bool) {
        assert!(sequence <= self.published, "publish {sequence} is confirmed and was not made");
        match multiple {
            true => self.confirmed_through = self.confirmed_through.max(sequence),
            false => assert!(self.confirmed.insert(sequence), "{sequence} is confirmed twice"),
        }
    }

    pub fn is_confirmed(&self) -> bool {
        let mut single = self.confirmed_through + 1..=self.published;
        single.all(|sequence| self.confirmed.contains(&sequence))
    }
}

fn apply(ledger: &mut Ledger, id: MessageId, how: How) {
    match how {
        How::Requeue => ledger.requeue(id),
        How::Ack | How::Discard => ledger.settle(id),
    }
}
