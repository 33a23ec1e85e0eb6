//! Class tx: the modes of a channel, and what is done with a transaction.

use super::Connection;
use super::input::{Handled, too_large, unknown_tag};
use crate::channel::Mode;
use crate::error::{Failure, ReplyCode};
use crate::event::{Event, Outcome};
use crate::method::{MethodId, tx};

impl Connection {
    /// Whether a channel is transactional.
    pub fn is_transactional(&self, channel: u16) -> bool {
        let channel = self.channels.view(channel);
        channel.is_some_and(|channel| matches!(channel.mode, Mode::Transactional(_)))
    }

    /// How many settlements of a channel wait for their commit.
    pub fn uncommitted_settlements(&self, channel: u16) -> usize {
        match self.channels.view(channel).map(|channel| &channel.mode) {
            Some(Mode::Transactional(transaction)) => transaction.settled_len(),
            _ => 0,
        }
    }

    pub(super) fn handle_tx<'a>(&mut self, number: u16, id: MethodId) -> Handled<'a> {
        let precondition = |text| Err(Failure::channel(ReplyCode::PreconditionFailed, text, id));
        let Some(channel) = self.channels.find(number) else { return Ok(None) };
        match (id, &mut channel.mode) {
            (tx::SELECT, Mode::Confirm) => precondition("cannot switch from confirm to tx mode"),
            (tx::SELECT, mode) => {
                if matches!(mode, Mode::Plain) {
                    *mode = Mode::Transactional(Box::default());
                }
                self.output.method(number, tx::SELECT_OK, |_| {});
                Ok(None)
            }
            (tx::COMMIT, Mode::Transactional(transaction)) => {
                let settlements = transaction.commit();
                Ok(Some(Event::Commit { channel: number, settlements }))
            }
            (_, Mode::Transactional(transaction)) => {
                transaction.roll_back(&mut channel.unsettled);
                Ok(Some(Event::Rollback { channel: number }))
            }
            _ => precondition("channel is not transactional"),
        }
    }

    /// Settles in a transactional channel: nobody hears of it before the commit. The tags are
    /// checked at once.
    pub(super) fn handle_held_settle<'a>(
        &mut self,
        number: u16,
        id: MethodId,
        (outcome, tag, multiple): (Outcome, u64, bool),
    ) -> Handled<'a> {
        let Some(channel) = self.channels.find(number) else { return Ok(None) };
        let Mode::Transactional(transaction) = &mut channel.mode else { return Ok(None) };
        let Some(held) = channel.unsettled.hold(tag, multiple) else {
            return Err(unknown_tag(tag, id));
        };
        let limits = self.config.transactions;
        transaction.settle(outcome, held, limits).map_err(|error| too_large(error, id))?;
        Ok(Some(Event::Settle { channel: number, outcome, deliveries: [].into_iter().collect() }))
    }
}
