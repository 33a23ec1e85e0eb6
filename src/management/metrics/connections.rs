//! The metrics of connections and channels.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::family::Family;
use super::output::Gone;
use super::scrape::{Column, Scrape};
use super::text::Metric;
use crate::server::connections::{ChannelFacts, Peer};

const TRAFFIC: &[Column<Peer>] = &[
    Column {
        metric: Metric::counter("connection_incoming_bytes_total", "Bytes from clients"),
        of: |peer| peer.traffic.received.load(Ordering::Relaxed),
    },
    Column {
        metric: Metric::counter("connection_outgoing_bytes_total", "Bytes to clients"),
        of: |peer| peer.traffic.sent.load(Ordering::Relaxed),
    },
];

const CHANNELS_OF: Column<Peer> = Column {
    metric: Metric::gauge("connection_channels", "Channels on a connection"),
    of: |peer| peer.activity().channels.len() as u64,
};

const CHANNEL: &[Column<ChannelFacts>] = &[
    Column {
        metric: Metric::gauge("channel_consumers", "Consumers on a channel"),
        of: |channel| channel.consumers as u64,
    },
    Column {
        metric: Metric::gauge(
            "channel_messages_unacked",
            "Deliveries that wait for an acknowledgement",
        ),
        of: |channel| channel.unacked as u64,
    },
    Column {
        metric: Metric::gauge(
            "channel_messages_unconfirmed",
            "Publishes that wait for their confirm",
        ),
        of: |channel| channel.unconfirmed as u64,
    },
    Column {
        metric: Metric::gauge("channel_messages_uncommitted", "Publishes that wait for a commit"),
        of: |channel| channel.uncommitted as u64,
    },
    Column {
        metric: Metric::gauge(
            "channel_acks_uncommitted",
            "Acknowledgements that wait for a commit",
        ),
        of: |channel| channel.acks_uncommitted as u64,
    },
    Column {
        metric: Metric::gauge(
            "consumer_prefetch",
            "Limit of unacknowledged messages of a new consumer",
        ),
        of: |channel| channel.prefetch.into(),
    },
    Column {
        metric: Metric::gauge("channel_prefetch", "Limit of unacknowledged messages of a channel"),
        of: |channel| channel.global_prefetch.into(),
    },
];

/// Connections that are looked at at once.
const BATCH: usize = 256;

impl Scrape {
    /// Writes what is asked for of connections and channels.
    ///
    /// # Errors
    /// If nobody wants it any more.
    pub async fn write_connections(&mut self) -> Result<(), Gone> {
        let families = [Family::ConnectionCoarse, Family::Connection, Family::Channel];
        if !families.iter().any(|family| self.has(*family)) {
            return Ok(());
        }
        let peers = self.peers();
        if self.has(Family::ConnectionCoarse) {
            match self.scope.is_per_object() {
                true => self.write_peers(&peers, TRAFFIC).await?,
                false => self.write_traffic(),
            }
        }
        if self.has(Family::Connection) {
            self.write_peers(&peers, &[CHANNELS_OF]).await?;
        }
        if self.has(Family::Channel) {
            self.write_channels(&peers, CHANNEL).await?;
        }
        Ok(())
    }

    /// The connections that have logged in: others are nobody's business yet.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        let mut peers = self.node.connections.all();
        peers.retain(|peer| peer.dialect().is_some());
        peers
    }

    fn write_traffic(&mut self) {
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

    async fn write_channels(
        &mut self,
        peers: &[Arc<Peer>],
        columns: &[Column<ChannelFacts>],
    ) -> Result<(), Gone> {
        for column in columns {
            self.head(&column.metric);
            let mut sum = 0;
            for peers in peers.chunks(BATCH) {
                for peer in peers {
                    sum += self.write_channels_of(peer, column);
                }
                self.out.pause().await?;
            }
            if !self.scope.is_per_object() {
                self.out.text.sample(&[], sum);
            }
        }
        Ok(())
    }

    /// Gives the sum over the channels, and writes them if they are told apart.
    fn write_channels_of(&mut self, peer: &Peer, column: &Column<ChannelFacts>) -> u64 {
        let mut sum = 0;
        for (number, facts) in peer.activity().channels.iter() {
            let value = (column.of)(facts);
            sum += value;
            if self.scope.is_per_object() {
                let name = format!("{} ({number})", peer.name());
                self.out.text.sample(&[("channel", &name)], value);
            }
        }
        sum
    }
}
