//! What ends a connection, by whose fault it is.
//!
//! MQTT keeps two classes apart: bytes that cannot be parsed (0x81) and packets that parse but are
//! not allowed (0x82). Where the standard has a more specific code, [`Error::Rule`] carries it.

use crate::{Reason, ReasonCode};

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
        /// What is wrong, for the log and the peer.
        detail: &'static str,
    },
    /// The peer does not speak MQTT; it gets no answer.
    #[error("not an MQTT client: {0}")]
    NotMqtt(&'static str),
    /// No CONNECT came within the connect timeout.
    #[error("no CONNECT in time")]
    ConnectTimeout,
    /// The client took longer than the connect timeout to authenticate.
    #[error("authentication took too long")]
    AuthenticationTimeout,
    /// Nothing came for one and a half times the keep alive [MQTT-3.1.2-22].
    #[error("nothing received for one and a half times the keep alive")]
    KeepAliveTimeout,
}

impl Error {
    /// A client identifier is longer than [`client_id_len_max`](crate::Config::client_id_len_max).
    pub const CLIENT_ID_TOO_LONG: Self =
        Self::rule(ReasonCode::ClientIdentifierNotValid, "client identifier is too long");

    /// The code for the CONNACK or DISCONNECT that tells the peer.
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Malformed(_) => ReasonCode::MalformedPacket,
            Self::Protocol(_) => ReasonCode::ProtocolError,
            Self::Rule { reason, .. } => *reason,
            Self::NotMqtt(_) | Self::ConnectTimeout => ReasonCode::UnspecifiedError,
            Self::AuthenticationTimeout => ReasonCode::NotAuthorized,
            Self::KeepAliveTimeout => ReasonCode::KeepAliveTimeout,
        }
    }

    /// What the peer is told.
    pub(crate) const fn told(&self) -> Reason<'static> {
        let text = match self {
            Self::Malformed(detail) | Self::Protocol(detail) | Self::Rule { detail, .. } => detail,
            Self::AuthenticationTimeout => "authentication took too long",
            Self::NotMqtt(_) | Self::ConnectTimeout | Self::KeepAliveTimeout => "",
        };
        Reason::new(self.reason(), text)
    }

    pub(crate) const fn rule(reason: ReasonCode, detail: &'static str) -> Self {
        Self::Rule { reason, detail }
    }
}
