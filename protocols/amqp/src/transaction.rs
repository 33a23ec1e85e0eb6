//! What a transactional channel has published and settled and not committed.
//!
//! The owner keeps the messages. Settlements are kept here with their tags, so that a rollback, or
//! the end of the channel, can undo them.

use crate::config::TransactionLimits;
use crate::error::Limit;
use crate::event::{Outcome, Publish};
use crate::unsettled::{Deliveries, Delivery, Unsettled};

/// What a transaction settles: deliveries in the order in which that was asked for, those with the
/// same outcome in a row together.
pub type Settlements = Vec<(Outcome, Deliveries)>;

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    settled: Vec<Settled>,
    publishes: usize,
    bytes: u64,
}

#[derive(Debug)]
struct Settled {
    tag: u64,
    delivery: Delivery,
    outcome: Outcome,
}

/// A transaction holds more than it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) text: String,
    pub(crate) limit: Limit,
}

impl Transaction {
    /// Counts a publish.
    pub(crate) fn publish(
        &mut self,
        publish: &Publish<'_>,
        limits: TransactionLimits,
    ) -> Result<(), TooLarge> {
        self.publishes += 1;
        self.bytes = self.bytes.saturating_add(publish.len() as u64);
        self.check(limits)
    }

    /// Holds settlements. They are held also if that is too much: the channel's end gives them back.
    pub(crate) fn settle(
        &mut self,
        outcome: Outcome,
        deliveries: Vec<(u64, Delivery)>,
        limits: TransactionLimits,
    ) -> Result<(), TooLarge> {
        let settled = |(tag, delivery)| Settled { tag, delivery, outcome };
        self.settled.extend(deliveries.into_iter().map(settled));
        self.check(limits)
    }

    /// How many settlements there are.
    pub(crate) fn settled_len(&self) -> usize {
        self.settled.len()
    }

    /// Ends the transaction and begins a new one.
    pub(crate) fn commit(&mut self) -> Settlements {
        let Transaction { settled, .. } = std::mem::take(self);
        let runs = settled.chunk_by(|a, b| a.outcome == b.outcome);
        runs.map(|run| (run[0].outcome, run.iter().map(|it| it.delivery).collect())).collect()
    }

    /// Undoes everything and begins a new transaction.
    pub(crate) fn roll_back(&mut self, unsettled: &mut Unsettled) {
        let Transaction { settled, .. } = std::mem::take(self);
        unsettled.restore(settled.into_iter().map(|it| (it.tag, it.delivery)));
    }

    fn check(&self, limits: TransactionLimits) -> Result<(), TooLarge> {
        let TransactionLimits { len_max, bytes_max } = limits;
        if self.publishes + self.settled.len() > len_max {
            let text = format!("transaction of more than {len_max} publishes and settlements");
            return Err(TooLarge { text, limit: Limit::TransactionLen });
        }
        if self.bytes > bytes_max {
            let text = format!("transaction of more than {bytes_max} bytes");
            return Err(TooLarge { text, limit: Limit::TransactionSize });
        }
        Ok(())
    }
}
