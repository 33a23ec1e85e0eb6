//! From bytes to events.
//!
//! Packets are taken whole from a borrowed slice, so an event borrows what it carries. The size of
//! a packet is checked before anybody waits for its bytes. What needs no broker is answered here:
//! PINGREQ, a repeated QoS 2 PUBLISH, acknowledgements of nothing.

use std::time::Instant;

use super::{Connection, Event, Phase};
use crate::inbound::Arrival;
use crate::outbound::Receipt;
use crate::packet::connect::Protocol;
use crate::packet::{Packet, Rules, ack, kind};
use crate::read::Reader;
use crate::{Connect, Disconnect, Error, Publish, Qos, ReasonCode, Subscribe, Unsubscribe};
use crate::{Version, varint};

impl Connection {
    /// The next event in `input`, which moves past the packets that were taken. `None` means that
    /// more input is needed ([`Connection::needed_input`]), that a CONNECT awaits its answer, or
    /// that the connection is closed, in which case all input is discarded.
    #[inline]
    pub fn poll_event<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Option<Event<'a>> {
        loop {
            match self.phase {
                Phase::Closed => return self.discard(input),
                Phase::Connecting => return None,
                Phase::Waiting | Phase::Authenticating | Phase::Connected => (),
            }
            let Packet { first, body } = match self.next_packet(input) {
                Ok(Some(packet)) => packet,
                Ok(None) => return None,
                Err(error) => return Some(Event::Error(self.fail(error))),
            };
            self.last_packet = now;
            if first >> 4 == kind::PUBLISH && self.phase == Phase::Connected {
                match self.handle_publish(first, body) {
                    Ok(Some(publish)) => return Some(Event::Publish(publish)),
                    Ok(None) => continue,
                    Err(error) => return Some(Event::Error(self.fail(error))),
                }
            }
            match self.handle_packet(now, Packet { first, body }) {
                Ok(None) => (),
                Ok(event) => return event,
                Err(error) => return Some(Event::Error(self.fail(error))),
            }
        }
    }

    fn discard<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        *input = &[];
        self.needed_input = 0;
        None
    }

    /// Takes one whole packet, if it has arrived.
    #[inline]
    fn next_packet<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Packet<'a>>, Error> {
        let Some(&first) = input.first() else {
            self.needed_input = 2;
            return Ok(None);
        };
        if self.phase == Phase::Waiting && first >> 4 != kind::CONNECT {
            return Err(Error::NotMqtt("first packet is not CONNECT [MQTT-3.1.0-1]"));
        }
        let Some((remaining, len_len)) = varint::read(&input[1..])? else {
            self.needed_input = input.len() + 1;
            return Ok(None);
        };
        let head = 1 + len_len;
        let total = head + remaining as usize;
        if total > self.size_max() {
            return self.refuse_size(&input[head..], head);
        }
        let Some(body) = input.get(head..total) else {
            self.needed_input = total;
            return Ok(None);
        };
        *input = &input[total..];
        Ok(Some(Packet { first, body }))
    }

    #[inline]
    fn size_max(&self) -> usize {
        let is_known = self.phase == Phase::Connected;
        let config = &self.config;
        (if is_known { config.packet_size_max } else { config.connect_size_max }) as usize
    }

    /// Refuses a packet for its size. If it is the first one, as much of it is awaited as tells
    /// which protocol to refuse it in.
    #[cold]
    fn refuse_size<'a>(&mut self, body: &[u8], head: usize) -> Result<Option<Packet<'a>>, Error> {
        if self.phase == Phase::Waiting {
            if body.len() < Protocol::LEN_MAX {
                self.needed_input = head + Protocol::LEN_MAX;
                return Ok(None);
            }
            self.handle_protocol(Protocol::parse(&mut Reader::new(&body[..Protocol::LEN_MAX]))?)?;
        }
        Err(Error::rule(ReasonCode::PacketTooLarge, "packet is larger than announced"))
    }

    fn handle_packet<'a>(
        &mut self,
        now: Instant,
        packet: Packet<'a>,
    ) -> Result<Option<Event<'a>>, Error> {
        match self.phase {
            Phase::Waiting => return self.handle_connect(now, packet),
            Phase::Authenticating => return self.handle_authenticating(now, packet),
            Phase::Connecting | Phase::Connected | Phase::Closed => (),
        }
        let is_reliable =
            matches!(packet.kind(), kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE);
        let is_dup = is_reliable && self.version() == Version::V31 && packet.first & 0xf == 0b1010;
        if !is_dup {
            packet.expect_flags(if is_reliable { 0b0010 } else { 0 })?;
        }
        match packet.kind() {
            kind::PUBACK => self.handle_puback(packet.body),
            kind::PUBREC => self.handle_pubrec(packet.body),
            kind::PUBREL => self.handle_pubrel(packet.body),
            kind::PUBCOMP => self.handle_pubcomp(packet.body),
            kind::SUBSCRIBE => {
                Subscribe::parse(packet.body, self.rules()).map(|it| Some(Event::Subscribe(it)))
            }
            kind::UNSUBSCRIBE => {
                Unsubscribe::parse(packet.body, self.rules()).map(|it| Some(Event::Unsubscribe(it)))
            }
            kind::PINGREQ => self.handle_pingreq(packet.body),
            kind::DISCONNECT => self.handle_disconnect(packet.body),
            kind::AUTH if self.version() == Version::V5 => self.handle_auth(now, packet.body),
            kind => Err(unexpected(kind)),
        }
    }

    #[inline]
    pub(super) fn rules(&self) -> Rules {
        Rules {
            version: self.version(),
            is_bridge: self.is_bridge,
            user_properties_max: self.config.user_properties_max,
        }
    }

    fn handle_protocol(&mut self, protocol: Protocol) -> Result<(), Error> {
        let (Protocol::Spoken { version, .. } | Protocol::Unsupported { version }) = protocol;
        self.output.set_version(version);
        self.phase = Phase::Connecting;
        let Protocol::Spoken { is_bridge, .. } = protocol else {
            return Err(Error::rule(
                ReasonCode::UnsupportedProtocolVersion,
                "unsupported protocol version [MQTT-3.1.2-2]",
            ));
        };
        self.is_bridge = is_bridge;
        Ok(())
    }

    fn handle_connect<'a>(
        &mut self,
        now: Instant,
        packet: Packet<'a>,
    ) -> Result<Option<Event<'a>>, Error> {
        let mut reader = Reader::new(packet.body);
        self.handle_protocol(Protocol::parse(&mut reader)?)?;
        packet.expect_flags(0)?;
        let mut connect = Connect::parse(reader, self.rules(), &self.config)?;
        self.limit(&mut connect);
        if let Some(wanted) = connect.authentication {
            self.begin_authentication(now, wanted);
        }
        self.needed_input = 0;
        Ok(Some(Event::Connect(Box::new(connect))))
    }

    /// Cuts the client's wishes down to the configured limits.
    fn limit(&mut self, connect: &mut Connect<'_>) {
        let config = &self.config;
        self.has_expiry = connect.session_expiry_s > 0;
        self.is_expiry_cut = connect.session_expiry_s > config.session_expiry_max_s;
        connect.session_expiry_s = connect.session_expiry_s.min(config.session_expiry_max_s);
        let keep_alive_s = connect.keep_alive_s;
        if config.keep_alive_max_s > 0 && connect.version == Version::V5 {
            self.is_keep_alive_cut = !(1..=config.keep_alive_max_s).contains(&keep_alive_s);
        }
        if self.is_keep_alive_cut {
            connect.keep_alive_s = config.keep_alive_max_s;
        }
        self.session_expiry_s = connect.session_expiry_s;
        self.keep_alive_s = connect.keep_alive_s;
        self.receive_maximum = connect.receive_maximum;
        self.output.set_packet_size_max(connect.packet_size_max);
        self.output.set_takes_reasons(connect.takes_reasons);
        let sent_max = connect.topic_alias_max.min(self.config.topic_alias_sent_max);
        self.outbound_aliases.set_max(sent_max);
    }

    /// Not an [`Event`] yet: the most frequent packet is not moved more than it must be.
    #[inline(always)]
    fn handle_publish<'a>(
        &mut self,
        first: u8,
        body: &'a [u8],
    ) -> Result<Option<Publish<'a>>, Error> {
        let rules = self.rules();
        let aliases = (&mut self.inbound_aliases, self.config.topic_alias_max);
        let publish = Publish::parse(first, body, rules, aliases)?;
        match publish.qos {
            Qos::AtMostOnce => (),
            Qos::AtLeastOnce => self.inbound.publish_qos1(publish.packet_id)?,
            Qos::ExactlyOnce => match self.inbound.publish_qos2(publish.packet_id)? {
                Arrival::New => (),
                Arrival::Pending => return Ok(None),
                Arrival::Repeated => {
                    self.ack(kind::PUBREC, publish.packet_id);
                    return Ok(None);
                }
            },
        }
        Ok(Some(publish))
    }

    #[inline]
    fn handle_puback<'a>(&mut self, body: &[u8]) -> Result<Option<Event<'a>>, Error> {
        let (packet_id, _) = ack::parse(body, self.rules(), ReasonCode::is_receipt)?;
        let token = self.outbound.puback(packet_id)?;
        Ok(token.map(|token| Event::Settled { token }))
    }

    fn handle_pubrec<'a>(&mut self, body: &[u8]) -> Result<Option<Event<'a>>, Error> {
        let (packet_id, reason) = ack::parse(body, self.rules(), ReasonCode::is_receipt)?;
        Ok(match self.outbound.pubrec(packet_id, reason)? {
            Receipt::Received { token } => Some(Event::Received { token, packet_id }),
            Receipt::Settled { token } => Some(Event::Settled { token }),
            Receipt::Release(reason) => {
                ack::write(&mut self.output, kind::PUBREL, packet_id, reason.into());
                None
            }
            Receipt::Ignored => None,
        })
    }

    fn handle_pubrel<'a>(&mut self, body: &[u8]) -> Result<Option<Event<'a>>, Error> {
        let (packet_id, _) = ack::parse(body, self.rules(), ReasonCode::is_release)?;
        let is_due = self.inbound.pubrel(packet_id, &mut self.output)?;
        Ok(is_due.then_some(Event::Release { packet_id }))
    }

    fn handle_pubcomp<'a>(&mut self, body: &[u8]) -> Result<Option<Event<'a>>, Error> {
        let (packet_id, _) = ack::parse(body, self.rules(), ReasonCode::is_release)?;
        let token = self.outbound.pubcomp(packet_id)?;
        Ok(token.map(|token| Event::Settled { token }))
    }

    fn handle_pingreq<'a>(&mut self, body: &[u8]) -> Result<Option<Event<'a>>, Error> {
        Reader::new(body).finish()?;
        self.output.packet(kind::PINGRESP << 4, 0, 0);
        Ok(None)
    }

    pub(super) fn handle_disconnect<'a>(
        &mut self,
        body: &[u8],
    ) -> Result<Option<Event<'a>>, Error> {
        let mut disconnect = Disconnect::parse(body, self.rules())?;
        if let Some(seconds) = &mut disconnect.session_expiry_s {
            if *seconds > 0 && !self.has_expiry {
                return Err(Error::Protocol("Session Expiry where CONNECT had none"));
            }
            *seconds = (*seconds).min(self.config.session_expiry_max_s);
            self.session_expiry_s = *seconds;
        }
        self.close();
        Ok(Some(Event::Disconnect(disconnect)))
    }
}

/// A packet that no client sends, or not now.
#[cold]
fn unexpected(kind: u8) -> Error {
    match kind {
        kind::CONNECT => Error::Protocol("second CONNECT [MQTT-3.1.0-2]"),
        kind::CONNACK | kind::SUBACK | kind::UNSUBACK | kind::PINGRESP => {
            Error::Protocol("packet that only a server sends")
        }
        _ => Error::Malformed("reserved packet type"),
    }
}
