//! A publisher: the messages, and the handshakes of QoS 1 and 2.

use crate::clock::Moment;
use crate::drive::{Peer, Phase, Wait};
use crate::error::Error;
use crate::mqtt::client::unexpected;
use crate::mqtt::wire::{self, Fields, Packet, Version, kind};
use crate::publisher::{Publisher, Template};

/// The publisher of an MQTT connection.
#[derive(Debug)]
pub struct MqttPublisher(pub Publisher);

impl Peer for MqttPublisher {
    fn fill(&mut self, now: Moment, phase: Phase, out: &mut Vec<u8>) -> Wait {
        self.0.fill(now, phase, out)
    }

    fn take(&mut self, now: Moment, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some((packet, used)) = wire::packet(&input[taken..])? {
            self.packet(now, packet, out)?;
            taken += used;
        }
        self.0.flush();
        Ok(taken)
    }
}

impl MqttPublisher {
    fn packet(&mut self, now: Moment, packet: Packet<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        if !matches!(packet.kind, kind::PUBACK | kind::PUBREC | kind::PUBCOMP) {
            return unexpected(packet);
        }
        let mut fields = Fields(packet.body);
        let identifier = fields.short()?;
        let reason = fields.octet().unwrap_or(0);
        if packet.kind == kind::PUBREC && reason < 0x80 {
            wire::write_ack(out, kind::PUBREL, identifier);
            return Ok(());
        }
        let settled = self.0.window().and_then(|window| window.settle(window.numbered(identifier)));
        match settled {
            // "No matching subscribers" is a success as well.
            Some(sent) if reason < 0x80 => self.0.confirmed(now, sent),
            Some(sent) => self.0.refused(sent),
            None => {}
        }
        Ok(())
    }
}

/// A message to a topic.
pub fn template(version: Version, topic: &str, size: usize, qos: u8) -> Template {
    let mut body = Vec::new();
    wire::string(&mut body, topic.as_bytes());
    let identifier_at = (qos > 0).then(|| {
        body.extend([0, 0]);
        body.len() - 2
    });
    if version == Version::V5 {
        body.push(0);
    }
    let stamp_at = body.len();
    body.resize(stamp_at + size, b'x');
    let mut octets = Vec::new();
    wire::write(&mut octets, kind::PUBLISH, qos << 1, &body);
    let header = octets.len() - body.len();
    Template {
        octets,
        stamp_at: header + stamp_at,
        identifier_at: identifier_at.map(|at| header + at),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pace::Pace;
    use crate::publisher::Outgoing;
    use crate::stamp::{Run, Stream};
    use crate::tally::Tally;
    use crate::window::Window;

    fn publisher(qos: u8, window: usize) -> (Arc<Tally>, MqttPublisher) {
        let tally = Arc::new(Tally::new(Run(1), 1, Vec::new()));
        let stream = Outgoing::new(Stream(0), template(Version::V5, "t", 16, qos));
        let window = (qos > 0).then(|| Window::new(window));
        let pace = Pace::new(None, 1, 0);
        let publisher = Publisher::new(Arc::clone(&tally), vec![stream], pace, Some(3), window);
        (tally, MqttPublisher(publisher))
    }

    fn identifiers(out: &mut Vec<u8>) -> Vec<u16> {
        let (mut rest, mut found) = (&out[..], Vec::new());
        while let Some((packet, used)) = wire::packet(rest).unwrap() {
            let mut fields = Fields(packet.body);
            fields.string().unwrap();
            found.push(fields.short().unwrap());
            rest = &rest[used..];
        }
        out.clear();
        found
    }

    #[test]
    fn a_publisher_stops_at_its_window_and_goes_on_as_it_opens() {
        let (tally, mut publisher) = publisher(1, 2);
        let mut out = Vec::new();
        assert_eq!(publisher.fill(Moment(1), Phase::Run, &mut out), Wait::Input);
        assert_eq!(identifiers(&mut out), [1, 2]);
        publisher.take(Moment(2), &[0x40, 2, 0, 2], &mut out).unwrap();
        assert_eq!(publisher.fill(Moment(3), Phase::Run, &mut out), Wait::Room);
        assert_eq!(identifiers(&mut out), [3]);
        assert_eq!(publisher.fill(Moment(3), Phase::Run, &mut out), Wait::Input);
        // A refusal, with its reason code.
        publisher.take(Moment(4), &[0x40, 2, 0, 1, 0x40, 3, 0, 3, 0x97], &mut out).unwrap();
        assert_eq!(publisher.fill(Moment(5), Phase::Run, &mut out), Wait::Nothing);
        assert_eq!(
            (tally.refusals(), tally.confirm_times.percentiles().unwrap().json()["count"].clone()),
            (1, 2.into())
        );
    }

    #[test]
    fn publishing_lasts_until_the_last_message_has_left_and_no_longer() {
        let (tally, mut publisher) = publisher(1, 9);
        let mut out = Vec::new();
        assert_eq!(publisher.fill(Moment(1), Phase::Run, &mut out), Wait::Room);
        for (now, phase) in [(50, Phase::Run), (70, Phase::Drain), (90, Phase::End)] {
            publisher.fill(Moment(now), phase, &mut out);
            assert_eq!(tally.publishing(Moment(0)).as_nanos(), 50);
        }
    }

    #[test]
    fn qos_2_is_settled_by_the_completion_only() {
        let (_, mut publisher) = publisher(2, 9);
        let mut out = Vec::new();
        publisher.fill(Moment(1), Phase::Run, &mut out);
        out.clear();
        publisher.take(Moment(2), &[0x50, 2, 0, 1], &mut out).unwrap();
        assert_eq!(out, [0x62, 2, 0, 1]);
        assert!(publisher.0.window().unwrap().settle(1).is_some());
        publisher.take(Moment(2), &[0x70, 2, 0, 2, 0x70, 2, 0, 3], &mut out).unwrap();
        assert!(publisher.0.window().unwrap().is_empty());
    }

    #[test]
    fn a_disconnect_is_the_end_and_says_why() {
        let (_, mut publisher) = publisher(1, 9);
        let error = publisher.take(Moment(1), &[0xE0, 1, 0x97], &mut vec![]).unwrap_err();
        assert!(error.to_string().ends_with("0x97, quota exceeded"), "{error}");
    }
}
