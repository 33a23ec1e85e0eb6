//! A QoS 2 publisher: what it knows of its packets, over all lives of the node.

use std::collections::BTreeMap;

use leveret_core::Position;

use super::node::{Node, Publish, Stopped};
use super::truth::Truth;

#[derive(Default)]
pub struct Sender {
    packets: BTreeMap<u16, Packet>,
}

enum Packet {
    /// Published; acknowledged by PUBREC when the position is durable.
    Published(Publish, Position),
    Received,
    /// Released; done when the position is durable.
    Released(Position),
}

const PACKETS_MAX: u16 = 5;

impl Sender {
    /// Publishes with a free packet identifier, if there is one.
    pub fn publish(
        &mut self,
        node: &mut Node,
        publish: Publish,
        truth: &mut Truth,
    ) -> Result<(), Stopped> {
        let free = (1..=PACKETS_MAX).find(|packet_id| !self.packets.contains_key(packet_id));
        let publish = Publish { packet_id: free, ..publish };
        // A publish that is cut short was not acknowledged.
        let (done, promise) = match node.publish(publish, truth) {
            Ok(promise) => (Ok(()), promise),
            Err(stopped) => (Err(stopped), NEVER),
        };
        if let Some(packet_id) = free {
            self.packets.insert(packet_id, Packet::Published(publish, promise));
        }
        done
    }

    /// Learns what is durable, and releases what was received.
    pub fn go_on(&mut self, node: &mut Node) -> Result<(), Stopped> {
        self.note_durable(node.durable());
        for (packet_id, packet) in &mut self.packets {
            if matches!(packet, Packet::Received) {
                *packet = Packet::Released(NEVER);
                *packet = Packet::Released(node.release(*packet_id)?);
            }
        }
        Ok(())
    }

    pub fn note_durable(&mut self, durable: Position) {
        self.packets.retain(|_, packet| !matches!(packet, Packet::Released(at) if *at < durable));
        for packet in self.packets.values_mut() {
            if matches!(packet, Packet::Published(_, at) if *at < durable) {
                *packet = Packet::Received;
            }
        }
    }

    /// The node was started again: what was not acknowledged is sent again, in order.
    pub fn resume(&mut self, node: &mut Node, truth: &mut Truth) -> Result<(), Stopped> {
        let mut published: Vec<_> = self
            .packets
            .iter()
            .filter_map(|(packet_id, packet)| match packet {
                Packet::Published(publish, _) => Some((*packet_id, *publish)),
                _ => None,
            })
            .collect();
        published.sort_unstable_by_key(|(_, publish)| publish.number);
        for (packet_id, publish) in &published {
            self.packets.insert(*packet_id, Packet::Published(*publish, NEVER));
        }
        for (packet_id, packet) in &mut self.packets {
            if !matches!(packet, Packet::Published(..)) {
                *packet = Packet::Released(NEVER);
                *packet = Packet::Released(node.release(*packet_id)?);
            }
        }
        node.seen.repeated += published.len();
        for (packet_id, publish) in published {
            let promise = node.publish(publish, truth)?;
            self.packets.insert(packet_id, Packet::Published(publish, promise));
        }
        Ok(())
    }
}

const NEVER: Position = Position(u64::MAX);
