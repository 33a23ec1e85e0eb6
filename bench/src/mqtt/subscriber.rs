//! A subscriber: the messages, and its part of the handshakes of QoS 1 and 2.

use crate::clock::Moment;
use crate::consumer::{Body, Consumer};
use crate::drive::{Peer, Phase, Wait};
use crate::error::Error;
use crate::mqtt::client::unexpected;
use crate::mqtt::wire::{self, Fields, Packet, Version, kind};

/// The subscriber of an MQTT connection.
#[derive(Debug)]
pub struct MqttSubscriber {
    consumer: Consumer,
    version: Version,
    /// The ledger of all messages; nothing if it is the number at the end of their topic.
    ledger: Option<usize>,
}

impl MqttSubscriber {
    /// A subscriber to one topic, which has this ledger, or to several, each of which has the ledger
    /// of its number.
    pub fn new(consumer: Consumer, version: Version, ledger: Option<usize>) -> MqttSubscriber {
        MqttSubscriber { consumer, version, ledger }
    }

    fn packet(&mut self, now: Moment, packet: Packet<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match packet.kind {
            kind::PUBLISH => self.publish(now, packet, out),
            kind::PUBREL => {
                wire::write_ack(out, kind::PUBCOMP, Fields(packet.body).short()?);
                Ok(())
            }
            _ => unexpected(packet),
        }
    }

    fn publish(&mut self, now: Moment, packet: Packet<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut fields = Fields(packet.body);
        let topic = fields.string()?;
        match packet.flags >> 1 & 3 {
            0 => {}
            1 => wire::write_ack(out, kind::PUBACK, fields.short()?),
            _ => wire::write_ack(out, kind::PUBREC, fields.short()?),
        }
        if self.version == Version::V5 {
            fields.properties()?;
        }
        let ledger = self.ledger.unwrap_or_else(|| number(topic));
        let body = Body { head: fields.0, length: fields.0.len() as u64 };
        self.consumer.received(now, ledger, body);
        Ok(())
    }
}

impl Peer for MqttSubscriber {
    fn fill(&mut self, _: Moment, phase: Phase, _: &mut Vec<u8>) -> Wait {
        if phase == Phase::End { Wait::Nothing } else { Wait::Input }
    }

    fn take(&mut self, now: Moment, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some((packet, used)) = wire::packet(&input[taken..])? {
            self.packet(now, packet, out)?;
            taken += used;
        }
        self.consumer.flush(now);
        Ok(taken)
    }
}

/// The number behind the last `/` of a topic.
fn number(topic: &[u8]) -> usize {
    let digits = topic.rsplit(|octet| *octet == b'/').next().unwrap_or_default();
    digits
        .iter()
        .fold(0, |sum: usize, digit| sum.wrapping_mul(10).wrapping_add((digit & 15).into()))
}
