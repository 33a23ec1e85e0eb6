//! What a session remembers of its packet identifiers, to go on where the last connection ended.

/// The delivery state of a session that a client comes back to. Empty for a new one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionState<'a> {
    /// Deliveries without their last acknowledgement, in the order in which they were sent. Those
    /// that await PUBCOMP get their PUBREL again; the messages of the others are for the caller to
    /// deliver again, with the same packet identifier and DUP [MQTT-4.4.0-1].
    pub in_flight: &'a [InFlight],
    /// QoS 2 messages that the client published and has not released: their packet identifiers.
    pub received: &'a [u16],
}

/// A delivery that the client has not fully acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// The identifier it was sent with.
    pub packet_id: u16,
    /// What [`crate::Event::Settled`] will name.
    pub token: u64,
    /// The packet that is missing.
    pub awaiting: Awaiting,
}

/// Which acknowledgement a delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaiting {
    /// PUBACK, for QoS 1.
    Puback,
    /// PUBREC, for QoS 2.
    Pubrec,
    /// PUBCOMP, for QoS 2 after PUBREC.
    Pubcomp,
}
