//! What is delivered to a client with QoS 1 and 2: from PUBLISH to PUBACK or PUBCOMP.
//!
//! ```text
//! QoS 1   PUBLISH ─ awaits PUBACK ─► settled
//! QoS 2   PUBLISH ─ awaits PUBREC ─► received ─► PUBREL ─ awaits PUBCOMP ─► settled
//! ```
//! A slot of the window is freed by PUBACK, PUBCOMP and a refusing PUBREC, not by a good PUBREC.

use crate::packet::Qos;
use crate::packet_id::PacketIdMap;
use crate::{Awaiting, Error, InFlight, ReasonCode};

#[derive(Debug)]
pub(crate) struct Outbound {
    flights: PacketIdMap<Flight>,
    /// How many deliveries of this connection count against the client's Receive Maximum.
    used: u16,
    used_max: u16,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    token: u64,
    step: Step,
    /// Sent on this connection, so that it counts against the client's Receive Maximum.
    is_sent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Puback,
    Pubrec,
    /// PUBREC has come; PUBREL waits for the broker.
    Received,
    Pubcomp,
}

/// What a PUBREC calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The client has the message: the broker is to note that.
    Received { token: u64 },
    /// The client refuses the message, which ends the exchange.
    Settled { token: u64 },
    /// PUBREL is to be sent, or sent again.
    Release(ReasonCode),
    /// There is nothing to do.
    Ignored,
}

impl Outbound {
    pub(crate) fn new() -> Self {
        Self { flights: PacketIdMap::default(), used: 0, used_max: 0 }
    }

    /// Takes up the deliveries of a session, and the window of this connection.
    pub(crate) fn resume(&mut self, in_flight: &[InFlight], window: u16) {
        self.used_max = window;
        for &InFlight { packet_id, token, awaiting } in in_flight {
            let step = match awaiting {
                Awaiting::Puback => Step::Puback,
                Awaiting::Pubrec => Step::Pubrec,
                Awaiting::Pubcomp => Step::Pubcomp,
            };
            self.flights.insert(packet_id, Flight { token, step, is_sent: false });
        }
    }

    pub(crate) const fn window(&self) -> u16 {
        self.used_max
    }

    /// Whether a delivery may go out with this identifier now.
    #[inline]
    pub(crate) fn has_room(&mut self, packet_id: u16, qos: Qos, dup: bool) -> bool {
        if packet_id == 0 || self.used >= self.used_max {
            return false;
        }
        match self.flights.entry(packet_id) {
            None => true,
            Some(flight) => dup && !flight.is_sent && flight.step == Step::first(qos),
        }
    }

    /// Notes a delivery for which there is room.
    #[inline]
    pub(crate) fn sent(&mut self, packet_id: u16, qos: Qos, token: u64) {
        self.flights.insert(packet_id, Flight { token, step: Step::first(qos), is_sent: true });
        self.used += 1;
    }

    /// Forgets a delivery that cannot be sent on this connection.
    pub(crate) fn dropped(&mut self, packet_id: u16) {
        self.settle(packet_id);
    }

    /// The token that a PUBACK settles. One for an unknown identifier means nothing.
    #[inline]
    pub(crate) fn puback(&mut self, packet_id: u16) -> Result<Option<u64>, Error> {
        match self.flights.entry(packet_id) {
            None => Ok(None),
            Some(Flight { step: Step::Puback, .. }) => Ok(self.settle(packet_id)),
            Some(_) => Err(Error::Protocol("PUBACK for a QoS 2 message [MQTT-4.3.3-4]")),
        }
    }

    pub(crate) fn pubrec(&mut self, packet_id: u16, reason: ReasonCode) -> Result<Receipt, Error> {
        let Some(flight) = self.flights.entry(packet_id) else {
            let unknown = Receipt::Release(ReasonCode::PacketIdentifierNotFound);
            return Ok(if reason.is_failure() { Receipt::Ignored } else { unknown });
        };
        match (flight.step, reason.is_failure()) {
            (Step::Puback, _) => Err(Error::Protocol("PUBREC for a QoS 1 message [MQTT-4.3.2-3]")),
            (Step::Pubrec, true) => {
                let token = flight.token;
                self.settle(packet_id);
                Ok(Receipt::Settled { token })
            }
            (Step::Pubrec, false) => {
                flight.step = Step::Received;
                Ok(Receipt::Received { token: flight.token })
            }
            (_, true) => Err(Error::Protocol("PUBREC refuses what it took before")),
            (Step::Received, false) => Ok(Receipt::Ignored),
            (Step::Pubcomp, false) => Ok(Receipt::Release(ReasonCode::Success)),
        }
    }

    /// The broker has noted a PUBREC. True if PUBREL is to be sent.
    pub(crate) fn release(&mut self, packet_id: u16) -> bool {
        match self.flights.entry(packet_id) {
            Some(flight) if flight.step == Step::Received => {
                flight.step = Step::Pubcomp;
                true
            }
            _ => false,
        }
    }

    /// The token that a PUBCOMP settles. One for an unknown identifier means nothing.
    pub(crate) fn pubcomp(&mut self, packet_id: u16) -> Result<Option<u64>, Error> {
        match self.flights.entry(packet_id) {
            None => Ok(None),
            Some(Flight { step: Step::Pubcomp, .. }) => Ok(self.settle(packet_id)),
            Some(_) => Err(Error::Protocol("PUBCOMP before PUBREL [MQTT-4.3.3-5]")),
        }
    }

    #[inline]
    fn settle(&mut self, packet_id: u16) -> Option<u64> {
        let flight = self.flights.remove(packet_id)?;
        self.used -= u16::from(flight.is_sent);
        Some(flight.token)
    }
}

impl Step {
    /// What a fresh QoS 1 or 2 PUBLISH waits for.
    #[inline]
    const fn first(qos: Qos) -> Self {
        match qos {
            Qos::ExactlyOnce => Self::Pubrec,
            Qos::AtLeastOnce | Qos::AtMostOnce => Self::Puback,
        }
    }
}
