//! Transactions: what a channel publishes waits here for its commit; what it settles waits in the
//! state machine of the connection.
//!
//! What can be refused of a publish is refused at once; where it goes is asked at the commit. A
//! commit that fails has done nothing, and closes the channel.

use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::method::tx::COMMIT;
use leveret_amqp::{Properties, ReplyCode, ServerMethod, Settlements};
use leveret_core::{EntryIndex, Facts, Message};

use super::deliver::{content, settlement};
use super::held::Held;
use super::refusal::Refusal;
use super::{Amqp, Answer, PropertyHeaders};
use crate::server::clock;
use crate::server::counts::Fate;
use crate::server::firehose::Tap;
use crate::server::routed::Routed;
use crate::server::transaction::{NoRoom, Settle, Transaction};

/// A message that waits for the commit of its channel.
#[derive(Debug)]
pub(super) struct Uncommitted {
    pub message: Message,
    /// The routing keys that it has beside its own.
    pub more_keys: Vec<Box<str>>,
    pub mandatory: bool,
}

impl Amqp {
    /// Keeps a message until the channel commits.
    pub(super) fn add_uncommitted(
        &mut self,
        channel: u16,
        publish: Uncommitted,
    ) -> Result<(), Refusal> {
        self.check_uncommitted_publish(&publish)?;
        self.pause.note_publish();
        self.channel(channel).uncommitted.push(publish);
        Ok(())
    }

    fn check_uncommitted_publish(&self, publish: &Uncommitted) -> Result<(), Refusal> {
        let (message, more) = (&publish.message, publish.more_keys.iter().map(|key| &**key));
        let keys: Vec<&str> = std::iter::once(message.routing_key()).chain(more).collect();
        let to = (&*self.vhost, message.exchange());
        Ok(self.publisher.check(&self.node.topology(), to, &keys)?)
    }

    /// Has all be known of what is to be published, before anything is.
    fn check_uncommitted(&mut self, channel: u16) -> Result<(), Refusal> {
        if self.identity.is_internal() {
            return Ok(());
        }
        let Some(channel) = self.channels.get(&channel) else { return Ok(()) };
        let mut checked = Ok(());
        for publish in &channel.uncommitted {
            checked = checked.and(self.check_uncommitted_publish(publish));
            if checked.is_err() && !self.identity.must_ask() {
                break;
            }
        }
        checked
    }

    pub(super) fn roll_back(&mut self, channel: u16) {
        self.channel(channel).uncommitted = Vec::new();
        self.connection.reply(channel, ServerMethod::TxRollbackOk);
    }

    pub(super) fn handle_commit(&mut self, now: Instant, channel: u16, settlements: Settlements) {
        let Err(refusal) = self.commit(channel, &settlements) else { return };
        if self.identity.must_ask() {
            return self.hold(Held::Commit(channel, settlements));
        }
        // Consumers go first, so that what comes back is not handed to them.
        for number in self.consumers.of_channel(channel) {
            self.cancel_in_shard(number);
        }
        settlements.iter().for_each(|(_, deliveries)| self.requeue(channel, deliveries));
        self.refuse(now, channel, &refusal, COMMIT);
    }

    fn commit(&mut self, channel: u16, settlements: &Settlements) -> Result<(), Refusal> {
        let (mut transaction, mut unroutable) = (Transaction::default(), Vec::new());
        let (mut traced, mut fates) = (Vec::new(), Vec::new());
        self.check_uncommitted(channel)?;
        let uncommitted = std::mem::take(&mut self.channel(channel).uncommitted);
        let routes: Result<Vec<_>, Refusal> =
            uncommitted.iter().map(|publish| self.route(publish)).collect();
        let routes = match routes {
            Ok(routes) => routes,
            Err(refusal) => {
                self.channel(channel).uncommitted = uncommitted;
                return Err(refusal);
            }
        };
        for (publish, routed) in uncommitted.into_iter().zip(routes) {
            if self.node.firehose.is_on() {
                traced.push((Arc::new(publish.message.clone()), routed.clone()));
            }
            let body_bytes = publish.message.body().len();
            fates.push((body_bytes, fate(&routed, publish.mandatory)));
            if !routed.is_empty() {
                transaction.publish(restamped(publish.message), &routed, self.node.shard_count());
            } else if publish.mandatory {
                unroutable.push(publish.message);
            }
        }
        self.add_settlements(&mut transaction, settlements);
        self.pause.note_publish();
        let promise = self.node.commit(transaction)?;
        for (message, routed) in &traced {
            self.node.tap(&self.peer, channel, Tap::Publish(message, routed));
        }
        for message in &unroutable {
            self.connection.return_(channel, ReplyCode::NoRoute, &content(message, None));
        }
        for (outcome, deliveries) in settlements {
            self.note_acks(channel, *outcome, deliveries.len());
            self.note_settled(channel, deliveries);
        }
        let counts = self.channel(channel).counts();
        for (body_bytes, fate) in fates {
            counts.note_publish(body_bytes, false);
            counts.note_fate(fate);
        }
        self.answer(channel, Answer::Plain(ServerMethod::TxCommitOk), promise, false);
        Ok(())
    }

    fn route(&mut self, publish: &Uncommitted) -> Result<Arc<Routed>, Refusal> {
        let Uncommitted { message, more_keys, .. } = publish;
        let headers = PropertyHeaders(Properties::from_encoded(message.properties()));
        let (exchange, key) = (message.exchange(), message.routing_key());
        let (node, vhost) = (&self.node, &self.vhost);
        let more: Vec<&str> = more_keys.iter().map(|key| &**key).collect();
        let way = match more.is_empty() {
            true => self.publisher.route(node, vhost, (exchange, key), &headers)?,
            false => self.publisher.route_by_keys(node, vhost, (exchange, key, &more), &headers)?,
        };
        Ok(self.publisher.routed(way).clone())
    }

    fn add_settlements(&mut self, transaction: &mut Transaction, settlements: &Settlements) {
        for (outcome, deliveries) in settlements {
            for run in deliveries.chunk_by(|a, b| a.consumer == b.consumer) {
                let (number, consumer) = (run[0].consumer, self.id(run[0].consumer));
                // A queue that is gone has taken its messages with it.
                let Some(queue) = self.consumers.get(number).map(|it| it.queue) else { continue };
                let entries = run.iter().map(|token| EntryIndex(token.entry)).collect();
                let settlement = settlement(*outcome);
                transaction.settle(Settle { queue, consumer, entries, settlement });
            }
        }
    }
}

fn fate(routed: &Routed, mandatory: bool) -> Fate {
    match routed.copies {
        0 if mandatory => Fate::Returned,
        0 => Fate::Dropped,
        queues => Fate::Routed(queues),
    }
}

/// A message as if it were published now: its time to live begins at the commit.
fn restamped(message: Message) -> Message {
    let (facts, now_ms) = (message.facts(), clock::now_ms());
    let waited_ms = now_ms.saturating_sub(facts.timestamp_ms);
    let expires_at_ms = facts.expires_at_ms.map(|at_ms| at_ms + waited_ms);
    message.with_facts(Facts { timestamp_ms: now_ms, expires_at_ms, ..facts })
}

impl From<NoRoom> for Refusal {
    fn from(_: NoRoom) -> Self {
        Refusal::precondition("partial tx completion")
    }
}
