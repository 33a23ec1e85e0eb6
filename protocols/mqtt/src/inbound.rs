//! What a client publishes with QoS 1 and 2: from PUBLISH to PUBACK or PUBCOMP.
//!
//! ```text
//! QoS 1   PUBLISH ─ owed ──────► PUBACK
//! QoS 2   PUBLISH ─ owed ──────► PUBREC ─ received ─► PUBREL ─ releasing ─► PUBCOMP
//! ```
//! Messages are handed on at PUBLISH, and the identifier is forgotten at PUBREL. Acknowledgements
//! leave in the order of the PUBLISH packets, whatever order the broker finishes them in
//! [MQTT-4.6.0-2, -3].

use std::collections::VecDeque;

use crate::connection::output::Output;
use crate::packet::{Qos, ack, kind};
use crate::packet_id::PacketIdMap;
use crate::{Error, Reason, ReasonCode};

#[derive(Debug)]
pub(crate) struct Inbound {
    /// Acknowledgements owed, in the order of their PUBLISH packets.
    owed: VecDeque<Owed>,
    /// QoS 2 identifiers that are not released.
    exchanges: PacketIdMap<Exchange>,
    /// How many PUBLISH packets of this connection count against the Receive Maximum.
    used: u16,
    used_max: u16,
}

#[derive(Debug, Clone, Copy)]
struct Owed {
    packet_id: u16,
    qos: Qos,
    /// The broker's answer, once it has given one.
    answer: Option<Reason<'static>>,
}

#[derive(Debug, Clone, Copy)]
struct Exchange {
    step: Step,
    /// Whether it counts against the Receive Maximum; one from an earlier connection does not.
    is_counted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Owed,
    Received,
    Releasing,
}

/// What to do with a QoS 2 PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    New,
    /// Received before: PUBREC is sent again, the message is not handed on [MQTT-4.3.3-10].
    Repeated,
    /// Received before, and its PUBREC is still owed.
    Pending,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        Self {
            owed: VecDeque::new(),
            exchanges: PacketIdMap::default(),
            used: 0,
            used_max: u16::MAX,
        }
    }

    /// Takes up the QoS 2 identifiers of a session, and the Receive Maximum of this connection.
    pub(crate) fn resume(&mut self, received: &[u16], receive_maximum: u16) {
        self.used_max = receive_maximum;
        for &packet_id in received {
            let exchange = Exchange { step: Step::Received, is_counted: false };
            self.exchanges.insert(packet_id, exchange);
        }
    }

    /// A QoS 1 PUBLISH, which is a new message whatever its DUP says [MQTT-4.3.2-5].
    #[inline]
    pub(crate) fn publish_qos1(&mut self, packet_id: u16) -> Result<(), Error> {
        self.count()?;
        self.owed.push_back(Owed { packet_id, qos: Qos::AtLeastOnce, answer: None });
        Ok(())
    }

    pub(crate) fn publish_qos2(&mut self, packet_id: u16) -> Result<Arrival, Error> {
        match self.exchanges.entry(packet_id) {
            None => {
                self.count()?;
                self.exchanges.insert(packet_id, Exchange { step: Step::Owed, is_counted: true });
                self.owed.push_back(Owed { packet_id, qos: Qos::ExactlyOnce, answer: None });
                Ok(Arrival::New)
            }
            Some(Exchange { step: Step::Owed, .. }) => Ok(Arrival::Pending),
            Some(Exchange { step: Step::Releasing, .. }) => {
                Err(Error::Protocol("packet identifier is used again before PUBCOMP"))
            }
            Some(exchange) => {
                let was_counted = std::mem::replace(&mut exchange.is_counted, true);
                if !was_counted {
                    self.count()?;
                }
                Ok(Arrival::Repeated)
            }
        }
    }

    #[inline]
    fn count(&mut self) -> Result<(), Error> {
        if self.used >= self.used_max {
            return Err(Error::rule(
                ReasonCode::ReceiveMaximumExceeded,
                "more unacknowledged messages than the Receive Maximum [MQTT-3.3.4-7]",
            ));
        }
        self.used += 1;
        Ok(())
    }

    /// The broker has taken the message over, or refuses it. Sends what has become due.
    #[inline]
    pub(crate) fn answer(
        &mut self,
        owed: (u16, Qos),
        reason: Reason<'static>,
        output: &mut Output,
    ) {
        let is_meant = |entry: &Owed| (entry.packet_id, entry.qos) == owed;
        match self.owed.front_mut() {
            Some(front) if is_meant(front) && front.answer.is_none() => front.answer = Some(reason),
            _ => return self.answer_later(owed, reason),
        }
        while let Some(&Owed { packet_id, qos, answer: Some(reason) }) = self.owed.front() {
            self.owed.pop_front();
            self.send(packet_id, qos, reason, output);
        }
        if self.owed.is_empty() && self.owed.capacity() > IDLE_CAPACITY_MAX {
            self.owed = VecDeque::new();
        }
    }

    /// Notes an answer out of turn. A refusal comes at once, hence for the latest message; anything
    /// else comes nearly in order.
    fn answer_later(&mut self, owed: (u16, Qos), reason: Reason<'static>) {
        let is_meant =
            |entry: &Owed| (entry.packet_id, entry.qos) == owed && entry.answer.is_none();
        let found = match self.owed.back_mut() {
            Some(back) if is_meant(back) => Some(back),
            _ => self.owed.iter_mut().find(|entry| is_meant(entry)),
        };
        if let Some(entry) = found {
            entry.answer = Some(reason);
        }
    }

    #[inline]
    fn send(&mut self, packet_id: u16, qos: Qos, reason: Reason<'_>, output: &mut Output) {
        if qos == Qos::ExactlyOnce {
            ack::write(output, kind::PUBREC, packet_id, reason);
            self.received(packet_id, reason.code);
        } else {
            ack::write(output, kind::PUBACK, packet_id, reason);
            self.used -= 1;
        }
    }

    /// PUBREC has gone out; a refusal ends the exchange [MQTT-4.3.3-9].
    fn received(&mut self, packet_id: u16, reason: ReasonCode) {
        if reason.is_failure() {
            self.forget(packet_id);
        } else if let Some(exchange) = self.exchanges.entry(packet_id) {
            exchange.step = Step::Received;
        }
    }

    fn forget(&mut self, packet_id: u16) -> bool {
        let exchange = self.exchanges.remove(packet_id);
        self.used -= u16::from(exchange.is_some_and(|exchange| exchange.is_counted));
        exchange.is_some()
    }

    /// A PUBREL. True if the broker has to forget the identifier.
    pub(crate) fn pubrel(&mut self, packet_id: u16, output: &mut Output) -> Result<bool, Error> {
        let Some(exchange) = self.exchanges.entry(packet_id) else {
            let reason = ReasonCode::PacketIdentifierNotFound.into();
            ack::write(output, kind::PUBCOMP, packet_id, reason);
            return Ok(false);
        };
        match exchange.step {
            Step::Owed => Err(Error::Protocol("PUBREL before PUBREC [MQTT-4.3.3-4]")),
            Step::Releasing => Ok(false),
            Step::Received => {
                exchange.step = Step::Releasing;
                Ok(true)
            }
        }
    }

    /// The broker has forgotten the identifier: sends PUBCOMP.
    pub(crate) fn release_done(&mut self, packet_id: u16, output: &mut Output) {
        let step = self.exchanges.entry(packet_id).map(|exchange| exchange.step);
        if step == Some(Step::Releasing) && self.forget(packet_id) {
            ack::write(output, kind::PUBCOMP, packet_id, ReasonCode::Success.into());
        }
    }
}

const IDLE_CAPACITY_MAX: usize = 16;
