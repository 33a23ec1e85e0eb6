//! Channels: what later methods on them refer to, and their end.

use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{Delivery, ReplyCode, method};
use leveret_core::SharedPrefetch;

use super::refusal::Refusal;
use super::reply_to::Replies;
use super::transaction::Uncommitted;
use super::{Amqp, Promise};
use crate::server::connections::ChannelFacts;
use crate::server::counts::Counts;
use crate::server::usage::{ChannelAdmission, LimitReached};

/// What a channel remembers.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The queue that was last declared on it.
    pub last_queue: Box<str>,
    /// The prefetch of consumers that start from now on.
    pub prefetch: u16,
    /// The prefetch of all its consumers together, as the client asked for it.
    pub global_prefetch: u16,
    /// How much of that, or else of what a channel may have, is used.
    pub shared: Arc<SharedPrefetch>,
    /// Where direct replies go, while it has a consumer for them.
    pub replies: Option<Replies>,
    /// What was published in its transaction.
    pub uncommitted: Vec<Uncommitted>,
    /// Its place among the channels of the node and of its user.
    _place: Option<ChannelAdmission>,
    counts: Option<Box<Counts>>,
    /// Whether management has to be told.
    pub is_changed: bool,
}

impl Channel {
    /// What went over it. In a box because many channels do nothing.
    pub fn counts(&mut self) -> &mut Counts {
        self.counts.get_or_insert_default()
    }
}

impl Amqp {
    pub(super) fn handle_channel_open(&mut self, now: Instant, channel: u16) {
        if let Err(error) = self.open_channel(channel) {
            let refusal = Refusal::connection(ReplyCode::NotAllowed, error.to_string());
            self.refuse(now, channel, &refusal, method::channel::OPEN);
        }
    }

    fn open_channel(&mut self, channel: u16) -> Result<(), LimitReached> {
        let _place = Some(self.node.admit_channel(&self.identity.user)?);
        let state = Channel { _place, is_changed: true, ..Channel::default() };
        state.shared.set_limit(self.unacked_max(0));
        self.channels.insert(channel, state);
        self.node.churn.channels_opened.add(1);
        self.node.announce_channel("channel.created", &self.peer, channel);
        self.connection.channel_open_ok(channel);
        Ok(())
    }

    pub(super) fn channel(&mut self, channel: u16) -> &mut Channel {
        let state = self.channels.entry(channel).or_default();
        state.is_changed = true;
        state
    }

    /// Cancels the consumers of a channel and requeues what was not settled on it. Consumers go
    /// first, so that nothing is handed to one that is about to go.
    pub(super) fn end_channel(&mut self, channel: u16, unsettled: &[Delivery]) {
        for number in self.consumers.of_channel(channel) {
            self.cancel_in_shard(number);
            self.announce_end_of_consumer(number);
        }
        // All at once: each by itself would move those behind it.
        self.peer.activity().consumers.retain(|facts| facts.channel != channel);
        self.requeue(channel, unsettled);
        self.consumers.remove_channel(channel);
        // The number may be used again, and its publishes counted anew.
        self.gate.each(|promise| {
            if let Promise::Confirms(sequences) = promise {
                sequences.retain(|(of, _)| *of != channel);
            }
        });
        let Some(ended) = self.channels.remove(&channel) else { return };
        self.node.churn.channels_closed.add(1);
        self.node.announce_channel("channel.closed", &self.peer, channel);
        let mut activity = self.peer.activity();
        activity.channels.remove(&channel);
        if let Some(counts) = ended.counts {
            **activity.beside.get_or_insert_default() += *counts;
        }
    }

    /// Shows management what has changed since the last time.
    pub(super) fn publish_facts(&mut self) {
        if !self.channels.values().any(|channel| channel.is_changed) {
            return;
        }
        let shown = &mut self.peer.activity().channels;
        for (&number, channel) in self.channels.iter_mut().filter(|(_, c)| c.is_changed) {
            channel.is_changed = false;
            let facts = shown.entry(number).or_default();
            let mut counts = facts.counts.take();
            if let Some(now) = &channel.counts {
                **counts.get_or_insert_default() = **now;
            }
            *facts = ChannelFacts {
                consumers: self.consumers.count_of_channel(number),
                unacked: self.connection.unsettled_len(number),
                unconfirmed: self.connection.unconfirmed_len(number) as usize,
                uncommitted: channel.uncommitted.len(),
                acks_uncommitted: self.connection.uncommitted_settlements(number),
                confirm: self.connection.is_confirming(number),
                transactional: self.connection.is_transactional(number),
                prefetch: channel.prefetch,
                global_prefetch: channel.global_prefetch,
                counts,
            };
        }
    }
}
