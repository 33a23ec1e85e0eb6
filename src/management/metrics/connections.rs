//! The metrics of connections and channels.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::family::Family;
use super::output::Gone;
use super::scrape::{Column, Scrape};
use super::text::Metric;
use crate::server::connections::{ChannelFacts, Peer};
use crate::server::counts::{Counts, Dialect};

const TRAFFIC: &[Column<Peer>] = &[
    Column::counter("connection_incoming_bytes_total", "Bytes from clients", |peer| {
        peer.traffic.received.load(Ordering::Relaxed)
    }),
    Column::counter("connection_outgoing_bytes_total", "Bytes to clients", |peer| {
        peer.traffic.sent.load(Ordering::Relaxed)
    }),
];

const CHANNELS_OF: Column<Peer> =
    Column::gauge("connection_channels", "Channels on a connection", |peer| {
        peer.activity().channels.len() as u64
    });

const CHANNEL: &[Column<ChannelFacts>] = &[
    Column::gauge("channel_consumers", "Consumers on a channel", |channel| {
        channel.consumers as u64
    }),
    Column::gauge(
        "channel_messages_unacked",
        "Deliveries that wait for an acknowledgement",
        |channel| channel.unacked as u64,
    ),
    Column::gauge(
        "channel_messages_unconfirmed",
        "Publishes that wait for their confirm",
        |channel| channel.unconfirmed as u64,
    ),
    Column::gauge("channel_messages_uncommitted", "Publishes that wait for a commit", |channel| {
        channel.uncommitted as u64
    }),
    Column::gauge(
        "channel_acks_uncommitted",
        "Acknowledgements that wait for a commit",
        |channel| channel.acks_uncommitted as u64,
    ),
    Column::gauge(
        "consumer_prefetch",
        "Limit of unacknowledged messages of a new consumer",
        |channel| channel.prefetch.into(),
    ),
    Column::gauge("channel_prefetch", "Limit of unacknowledged messages of a channel", |channel| {
        channel.global_prefetch.into()
    }),
];

const CHANNEL_PUBLISHES: &[Column<Counts>] = &[
    Column::counter("channel_messages_published_total", "Messages from publishers", |counts| {
        counts.published
    }),
    Column::counter("channel_messages_confirmed_total", "Messages that were confirmed", |counts| {
        counts.confirmed
    }),
    Column::counter(
        "channel_messages_unroutable_returned_total",
        "Messages that no queue got, and that were returned",
        |counts| counts.returned,
    ),
    Column::counter(
        "channel_messages_unroutable_dropped_total",
        "Messages that no queue got, and that are lost",
        |counts| counts.dropped,
    ),
];

const CHANNEL_DELIVERIES: &[Column<Counts>] = &[
    Column::counter(
        "channel_get_ack_total",
        "Messages that were got and have to be acknowledged",
        |counts| counts.got_manual,
    ),
    Column::counter(
        "channel_get_total",
        "Messages that were got and need not be acknowledged",
        |counts| counts.got_auto,
    ),
    Column::counter(
        "channel_messages_delivered_ack_total",
        "Messages to consumers that have to acknowledge them",
        |counts| counts.delivered_manual,
    ),
    Column::counter(
        "channel_messages_delivered_total",
        "Messages to consumers that need not acknowledge them",
        |counts| counts.delivered_auto,
    ),
    Column::counter(
        "channel_messages_redelivered_total",
        "Messages that were handed out again",
        |counts| counts.redelivered,
    ),
    Column::counter("channel_messages_acked_total", "Messages that were acknowledged", |counts| {
        counts.acked
    }),
    Column::counter("channel_get_empty_total", "Gets that found nothing", |counts| {
        counts.got_empty
    }),
];

const FAMILIES: [Family; 5] = [
    Family::ConnectionCoarse,
    Family::Connection,
    Family::Channel,
    Family::ChannelExchange,
    Family::ChannelQueue,
];

/// Connections that are looked at at once.
const BATCH: usize = 256;

impl Scrape {
    /// Writes what is asked for of connections and channels.
    ///
    /// # Errors
    /// If nobody wants it any more.
    pub async fn write_connections(&mut self) -> Result<(), Gone> {
        if !FAMILIES.iter().any(|family| self.has(*family)) {
            return Ok(());
        }
        let peers = self.peers();
        if self.has(Family::ConnectionCoarse) {
            match self.scope.is_per_object() {
                true => self.write_peers(&peers, TRAFFIC).await?,
                false => self.write_bytes(),
            }
        }
        if self.has(Family::Connection) {
            self.write_peers(&peers, &[CHANNELS_OF]).await?;
        }
        if self.has(Family::Channel) {
            for column in CHANNEL {
                self.write_channels(&peers, &column.metric, column.of).await?;
            }
        }
        if self.has(Family::ChannelExchange) {
            self.write_channel_counts(&peers, CHANNEL_PUBLISHES).await?;
        }
        if self.has(Family::ChannelQueue) {
            self.write_channel_counts(&peers, CHANNEL_DELIVERIES).await?;
        }
        Ok(())
    }

    /// The connections that have logged in: others are nobody's business yet.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        let mut peers = self.node.connections.all();
        peers.retain(|peer| peer.dialect().is_some());
        peers
    }

    fn write_bytes(&mut self) {
        let (received, sent) = self.node.connections.bytes();
        for (column, bytes) in TRAFFIC.iter().zip([received, sent]) {
            self.one(&column.metric, bytes);
        }
    }

    async fn write_peers(
        &mut self,
        peers: &[Arc<Peer>],
        columns: &[Column<Peer>],
    ) -> Result<(), Gone> {
        for column in columns {
            self.head(&column.metric);
            let mut sum = 0;
            for peers in peers.chunks(BATCH) {
                for peer in peers {
                    let number = (column.of)(peer);
                    match self.scope.is_per_object() {
                        true => self.out.text.sample(&[("connection", &peer.name())], number),
                        false => sum += number,
                    }
                }
                self.out.pause().await?;
            }
            if !self.scope.is_per_object() {
                self.out.text.sample(&[], sum);
            }
        }
        Ok(())
    }

    /// The sums do not fall when channels go.
    async fn write_channel_counts(
        &mut self,
        peers: &[Arc<Peer>],
        columns: &[Column<Counts>],
    ) -> Result<(), Gone> {
        let counts = self.counts;
        for column in columns {
            match self.scope.is_per_object() {
                true => {
                    let of =
                        |channel: &ChannelFacts| channel.counts.as_deref().map_or(0, column.of);
                    self.write_channels(peers, &column.metric, of).await?;
                }
                false => self.one(&column.metric, (column.of)(counts.of(Dialect::Amqp091))),
            }
        }
        Ok(())
    }

    async fn write_channels(
        &mut self,
        peers: &[Arc<Peer>],
        metric: &Metric,
        of: impl Fn(&ChannelFacts) -> u64,
    ) -> Result<(), Gone> {
        self.head(metric);
        let mut sum = 0;
        for peers in peers.chunks(BATCH) {
            for peer in peers {
                for (number, facts) in &peer.activity().channels {
                    let value = of(facts);
                    sum += value;
                    if self.scope.is_per_object() {
                        let name = format!("{} ({number})", peer.name());
                        self.out.text.sample(&[("channel", &name)], value);
                    }
                }
            }
            self.out.pause().await?;
        }
        if !self.scope.is_per_object() {
            self.out.text.sample(&[], sum);
        }
        Ok(())
    }
}
