//! What ends a connection, by whose fault it is.
//!
//! MQTT keeps two classes apart: bytes that cannot be parsed (0x81) and packets that parse but are
//! not allowed (0x82). Where the standard has a more specific code, [`Error::Rule`] carries it.

use crate::ReasonCode;

/// Why a connection was closed by this side. All but the time-outs are the peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not follow the format.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The packet is well formed but must not be sent, or not now.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// A rule with a reason code of its own was broken.
    #[error("{reason}: {detail}")]
    Rule {
        /// The code that the peer is told.
        reason: ReasonCode,
        /// What is wrong, for the log.
        detail: &'static str,
    },
    /// The peer does not speak MQTT; it gets no answer.
    #[error("not an MQTT client: {0}")]
    NotMqtt(&'static str),
    /// No CONNECT came within the connect timeout.
    #[error("no CONNECT in time")]
    ConnectTimeout,
    /// Nothing came for one and a half times the keep alive [MQTT-3.1.2-22].
    #[error("nothing received for one and a half times the keep alive")]
    KeepAliveTimeout,
}

impl Error {
    /// The code for the CONNACK or DISCONNECT that tells the peer.
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Malformed(_) => ReasonCode::MalformedPacket,
            Self::Protocol(_) => ReasonCode::ProtocolError,
            Self::Rule { reason, .. } => *reason,
            Self::NotMqtt(_) | Self::ConnectTimeout => ReasonCode::UnspecifiedError,
            Self::KeepAliveTimeout => ReasonCode::KeepAliveTimeout,
        }
    }

    pub(crate) const fn rule(reason: ReasonCode, detail: &'static str) -> Self {
        Self::Rule { reason, detail }
    }
}
