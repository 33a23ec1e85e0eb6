//! Reason codes of MQTT 5, the words that go with them, and how they shrink to the return codes of
//! MQTT 3.1.1.

use std::fmt;

macro_rules! reason_codes {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// The outcome of an operation or the end of a connection. Values of 0x80 and above are
        /// failures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = $text] $name = $code,)*
        }

        impl ReasonCode {
            /// The code with this value, if the standard knows one.
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reason_codes! {
    Success = 0x00, "success, granted QoS 0 or normal disconnection";
    GrantedQos1 = 0x01, "granted QoS 1";
    GrantedQos2 = 0x02, "granted QoS 2";
    DisconnectWithWill = 0x04, "disconnect with will message";
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    NoSubscriptionExisted = 0x11, "no subscription existed";
    ContinueAuthentication = 0x18, "continue authentication";
    ReAuthenticate = 0x19, "re-authenticate";
    UnspecifiedError = 0x80, "unspecified error";
    MalformedPacket = 0x81, "malformed packet";
    ProtocolError = 0x82, "protocol error";
    ImplementationSpecificError = 0x83, "implementation specific error";
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    BadUserNameOrPassword = 0x86, "bad user name or password";
    NotAuthorized = 0x87, "not authorized";
    ServerUnavailable = 0x88, "server unavailable";
    ServerBusy = 0x89, "server busy";
    Banned = 0x8a, "banned";
    ServerShuttingDown = 0x8b, "server shutting down";
    BadAuthenticationMethod = 0x8c, "bad authentication method";
    KeepAliveTimeout = 0x8d, "keep alive timeout";
    SessionTakenOver = 0x8e, "session taken over";
    TopicFilterInvalid = 0x8f, "topic filter invalid";
    TopicNameInvalid = 0x90, "topic name invalid";
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    TopicAliasInvalid = 0x94, "topic alias invalid";
    PacketTooLarge = 0x95, "packet too large";
    MessageRateTooHigh = 0x96, "message rate too high";
    QuotaExceeded = 0x97, "quota exceeded";
    AdministrativeAction = 0x98, "administrative action";
    PayloadFormatInvalid = 0x99, "payload format invalid";
    RetainNotSupported = 0x9a, "retain not supported";
    QosNotSupported = 0x9b, "QoS not supported";
    UseAnotherServer = 0x9c, "use another server";
    ServerMoved = 0x9d, "server moved";
    SharedSubscriptionsNotSupported = 0x9e, "shared subscriptions not supported";
    ConnectionRateExceeded = 0x9f, "connection rate exceeded";
    MaximumConnectTime = 0xa0, "maximum connect time";
    SubscriptionIdentifiersNotSupported = 0xa1, "subscription identifiers not supported";
    WildcardSubscriptionsNotSupported = 0xa2, "wildcard subscriptions not supported";
}

impl ReasonCode {
    /// Whether the code says that something went wrong.
    pub const fn is_failure(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether PUBACK and PUBREC may carry it [MQTT-3.4.2-1, -3.5.2-1].
    pub(crate) const fn is_receipt(self) -> bool {
        matches!(self as u8, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
    }

    /// Whether PUBREL and PUBCOMP may carry it [MQTT-3.6.2-1, -3.7.2-1].
    pub(crate) const fn is_release(self) -> bool {
        matches!(self as u8, 0x00 | 0x92)
    }

    /// Whether DISCONNECT may carry it [MQTT-3.14.2-1].
    pub(crate) const fn is_disconnect(self) -> bool {
        matches!(
            self as u8,
            0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8b..=0x90 | 0x93..=0xa2
        )
    }

    /// The CONNACK return code of MQTT 3.1.1; `None` means to close without an answer.
    pub(crate) const fn connect_return_code(self) -> Option<u8> {
        match self {
            Self::Success => Some(0),
            Self::UnsupportedProtocolVersion => Some(1),
            Self::ClientIdentifierNotValid => Some(2),
            Self::ServerUnavailable
            | Self::ServerBusy
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => Some(3),
            Self::BadUserNameOrPassword => Some(4),
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => Some(5),
            _ => None,
        }
    }
}

/// A reason code with its Reason String: what is behind it, for whoever looks for the mistake.
///
/// The text is for MQTT 5 clients that did not decline it by Request Problem Information 0. It is
/// left out if it is empty, is no MQTT string, or would make the packet larger than the client
/// takes [MQTT-3.14.2-3].
///
/// ```
/// use leveret_mqtt::{Reason, ReasonCode};
///
/// let reason = Reason::new(ReasonCode::NotAuthorized, "the user may not publish here");
/// assert_eq!(Reason::from(ReasonCode::NotAuthorized).text, "");
/// assert_eq!(reason.code as u8, 0x87);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason<'a> {
    /// The code.
    pub code: ReasonCode,
    /// The text; empty for none.
    pub text: &'a str,
}

impl<'a> Reason<'a> {
    /// A code with a text.
    pub const fn new(code: ReasonCode, text: &'a str) -> Self {
        Self { code, text }
    }
}

impl From<ReasonCode> for Reason<'_> {
    fn from(code: ReasonCode) -> Self {
        Self { code, text: "" }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_value() {
        let known: Vec<_> = (0..=255).filter_map(ReasonCode::from_u8).collect();
        assert_eq!(known.len(), 43);
        assert!(known.iter().all(|&code| ReasonCode::from_u8(code as u8) == Some(code)));
        assert_eq!(ReasonCode::from_u8(0x17), None);
    }
}
