//! What has to wait until somebody outside has said whether it is allowed, and is done again then.
//!
//! It has changed nothing before. Nothing else is taken from the client meanwhile, so the order stays.

use std::time::Instant;

use leveret_mqtt::{OwnedPublish, OwnedSubscribe};
use tokio::sync::oneshot;

use super::Mqtt;

/// What is to be done.
pub(super) enum Held {
    Publish(OwnedPublish),
    Subscribe(OwnedSubscribe),
}

/// What waits, and for what.
pub(super) struct Waiting {
    held: Held,
    answered: oneshot::Receiver<()>,
}

impl Mqtt {
    /// Whether a check has ended undecided.
    pub(super) fn must_ask(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.identity.must_ask())
    }

    /// Keeps something until it is known whether it is allowed.
    #[cold]
    pub(super) fn hold(&mut self, held: Held) {
        let Some(reader) = &self.reader else { return };
        let answered = reader.identity.ask_for(&self.peer.outbox);
        self.waiting = Some(Box::new(Waiting { held, answered }));
    }

    /// Does what had to wait, if there is an answer.
    pub(super) fn finish_held(&mut self) {
        let is_answered = |waiting: &mut Box<Waiting>| {
            waiting.answered.try_recv() != Err(oneshot::error::TryRecvError::Empty)
        };
        let Some(waiting) = self.waiting.take_if(is_answered) else { return };
        if self.connection.is_closed() {
            return;
        }
        match &waiting.held {
            Held::Publish(publish) => self.handle_publish(&publish.publish()),
            Held::Subscribe(subscribe) => self.handle_subscribe(&subscribe.subscribe()),
        }
        self.flush_batch();
    }

    /// What was allowed a while ago may not be any more.
    pub(super) fn forget_old(&self, now: Instant) {
        if let (Some(reader), None) = (&self.reader, &self.waiting) {
            reader.identity.forget_old(now);
        }
    }
}
