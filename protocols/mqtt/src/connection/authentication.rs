//! Enhanced authentication: whose turn it is, and until when.
//!
//! ```text
//! CONNECT ─► Event::Connect ─► challenge ─► AUTH 0x18 ─► … ─► accept      ─► CONNACK 0x00
//! AUTH 0x19 ─► Event::Auth  ─► challenge ─► AUTH 0x18 ─► … ─► authenticated ─► AUTH 0x00
//! ```
//! Until CONNACK the client sends AUTH and DISCONNECT only [MQTT-3.1.2-30]. During a
//! re-authentication everything else goes on [MQTT-4.12.1]. What the data mean, and whether it is
//! enough, is the broker's business.

use std::time::Instant;

use super::{Connection, Event, Phase};
use crate::packet::connect::Authentication;
use crate::packet::{Packet, auth, kind};
use crate::{Auth, Error, ReasonCode};

/// The method that CONNECT named, and the exchange that goes on under it.
#[derive(Debug)]
pub(super) struct Method {
    name: Box<str>,
    turn: Turn,
    /// When the exchange has to be over. `None` if that is beyond what a clock can say.
    due: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is no exchange.
    Nobody,
    Client,
    Broker,
}

impl Method {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// When the exchange has to be over, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.turn == Turn::Nobody { None } else { self.due }
    }

    /// The exchange has come to its end.
    pub(super) fn finish(&mut self) {
        self.turn = Turn::Nobody;
    }
}

impl Connection {
    /// Notes the method of CONNECT; the broker's turn.
    pub(super) fn begin_authentication(&mut self, now: Instant, wanted: Authentication<'_>) {
        let due = now.checked_add(self.config.connect_timeout);
        let method = Method { name: wanted.method.into(), turn: Turn::Broker, due };
        self.method = Some(Box::new(method));
    }

    /// Sends AUTH 0x18: the client has to say more. For an [`Event::Connect`] with an
    /// authentication, and for [`Event::Auth`]; without either, nothing happens. `data` is not
    /// longer than 65,535 bytes.
    ///
    /// # Errors
    ///
    /// The connection is closed instead if the client does not take packets of that size.
    pub fn challenge(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.send_auth(ReasonCode::ContinueAuthentication, Turn::Client, data)?
            && self.phase == Phase::Connecting
        {
            self.phase = Phase::Authenticating;
        }
        Ok(())
    }

    /// Sends AUTH 0x00: the client of [`Event::Auth`] has proved once more who it is. Before
    /// CONNACK that is said by [`Connection::accept`], and this does nothing.
    ///
    /// # Errors
    ///
    /// The connection is closed instead if the client does not take packets of that size.
    pub fn authenticated(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.phase == Phase::Connected {
            self.send_auth(ReasonCode::Success, Turn::Nobody, data)?;
        }
        Ok(())
    }

    /// False if it is not the broker's turn.
    fn send_auth(&mut self, reason: ReasonCode, next: Turn, data: &[u8]) -> Result<bool, Error> {
        let Some(method) = self.method.as_mut().filter(|method| method.turn == Turn::Broker) else {
            return Ok(false);
        };
        method.turn = next;
        if auth::write(&mut self.output, reason, &method.name, data) || self.is_closed() {
            return Ok(true);
        }
        Err(self.fail(Error::rule(
            ReasonCode::PacketTooLarge,
            "AUTH is larger than the client takes [MQTT-3.1.2-24]",
        )))
    }

    /// A packet between CONNECT and CONNACK.
    pub(super) fn handle_authenticating<'a>(
        &mut self,
        now: Instant,
        packet: Packet<'a>,
    ) -> Result<Option<Event<'a>>, Error> {
        match packet.kind() {
            kind::AUTH => {
                packet.expect_flags(0)?;
                let event = self.handle_auth(now, packet.body)?;
                self.phase = Phase::Connecting;
                self.needed_input = 0;
                Ok(event)
            }
            kind::DISCONNECT => {
                packet.expect_flags(0)?;
                self.handle_disconnect(packet.body)
            }
            _ => Err(Error::Protocol("authentication is not complete [MQTT-3.1.2-30]")),
        }
    }

    pub(super) fn handle_auth<'a>(
        &mut self,
        now: Instant,
        body: &'a [u8],
    ) -> Result<Option<Event<'a>>, Error> {
        let rules = self.rules();
        let Some(method) = &mut self.method else {
            return Err(Error::Protocol("AUTH without an authentication method [MQTT-4.12.0-7]"));
        };
        let auth = Auth::parse(body, rules, &method.name)?;
        match (auth.reason, method.turn) {
            (ReasonCode::ReAuthenticate, Turn::Nobody) => {
                method.due = now.checked_add(self.config.connect_timeout);
            }
            (ReasonCode::ContinueAuthentication, Turn::Client) => (),
            _ => return Err(Error::Protocol("AUTH out of turn [MQTT-4.12.0-3]")),
        }
        method.turn = Turn::Broker;
        Ok(Some(Event::Auth(auth)))
    }
}
