//! Properties of MQTT 5: kept as the bytes they arrived in, read when somebody asks.
//!
//! A section is checked once, when its packet is parsed, and then travels as a slice: the
//! properties of a PUBLISH are forwarded without being decoded.
//!
//! ```text
//! section:  length (varint) │ property │ property │ …
//! property: id (one byte)   │ value: byte, u16, u32, varint, string, binary or string pair
//! ```

mod read;
mod write;

pub use read::Properties;
pub(crate) use read::scan;
pub use write::PropertiesBuilder;
pub(crate) use write::{
    Forwarded, is_string, put_property, put_section, section_len, without_topic_alias,
    without_will_delay,
};

/// One property that a client can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property<'a> {
    /// Whether the payload is UTF-8 text.
    PayloadFormat(bool),
    /// Seconds until the message expires.
    MessageExpiry(u32),
    /// What the payload is, by convention a MIME type.
    ContentType(&'a str),
    /// Topic for a response.
    ResponseTopic(&'a str),
    /// What the requester recognises a response by.
    CorrelationData(&'a [u8]),
    /// Identifier of a subscription; never 0.
    SubscriptionId(u32),
    /// Seconds that the session outlives its connection.
    SessionExpiry(u32),
    /// Name of the enhanced authentication.
    AuthenticationMethod(&'a str),
    /// Data of the enhanced authentication.
    AuthenticationData(&'a [u8]),
    /// Whether reason strings are wanted on every packet.
    RequestProblemInformation(bool),
    /// Seconds between the loss of the connection and the will.
    WillDelay(u32),
    /// Whether response information is wanted.
    RequestResponseInformation(bool),
    /// A text for the log.
    ReasonString(&'a str),
    /// How many unacknowledged QoS 1 and 2 messages the sender takes; never 0.
    ReceiveMaximum(u16),
    /// Highest topic alias that the sender takes.
    TopicAliasMaximum(u16),
    /// Alias of the topic; may be 0, which is refused later with a code of its own.
    TopicAlias(u16),
    /// Name and value that mean something to the application.
    User(&'a str, &'a str),
    /// Largest packet that the sender takes; never 0.
    MaximumPacketSize(u32),
}

/// A set of property ids; all of them are below 64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids(u64);

impl Ids {
    const fn of(ids: &[u8]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < ids.len() {
            bits |= 1 << ids[index];
            index += 1;
        }
        Self(bits)
    }

    #[inline]
    const fn contains(self, id: u8) -> bool {
        id < 64 && self.0 & (1 << id) != 0
    }

    /// Adds `id`, which is below 64; false if it was there already.
    #[inline]
    const fn insert(&mut self, id: u8) -> bool {
        let is_new = self.0 & (1 << id) == 0;
        self.0 |= 1 << id;
        is_new
    }
}

/// The ids by name.
pub(crate) mod id {
    pub(crate) const PAYLOAD_FORMAT: u8 = 1;
    pub(crate) const MESSAGE_EXPIRY: u8 = 2;
    pub(crate) const CONTENT_TYPE: u8 = 3;
    pub(crate) const RESPONSE_TOPIC: u8 = 8;
    pub(crate) const CORRELATION_DATA: u8 = 9;
    pub(crate) const SUBSCRIPTION_ID: u8 = 11;
    pub(crate) const SESSION_EXPIRY: u8 = 17;
    pub(crate) const ASSIGNED_CLIENT_ID: u8 = 18;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 19;
    pub(crate) const AUTHENTICATION_METHOD: u8 = 21;
    pub(crate) const AUTHENTICATION_DATA: u8 = 22;
    pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 23;
    pub(crate) const WILL_DELAY: u8 = 24;
    pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 25;
    pub(crate) const RESPONSE_INFORMATION: u8 = 26;
    pub(crate) const SERVER_REFERENCE: u8 = 28;
    pub(crate) const REASON_STRING: u8 = 31;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 33;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 34;
    pub(crate) const TOPIC_ALIAS: u8 = 35;
    pub(crate) const USER: u8 = 38;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 39;
}

/// Every id of the standard; all others are malformed.
const KNOWN: Ids = Ids::of(&[
    1, 2, 3, 8, 9, 11, 17, 18, 19, 21, 22, 23, 24, 25, 26, 28, 31, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42,
]);

pub(crate) const CONNECT: Ids = Ids::of(&[
    id::SESSION_EXPIRY,
    id::AUTHENTICATION_METHOD,
    id::AUTHENTICATION_DATA,
    id::REQUEST_PROBLEM_INFORMATION,
    id::REQUEST_RESPONSE_INFORMATION,
    id::RECEIVE_MAXIMUM,
    id::TOPIC_ALIAS_MAXIMUM,
    id::USER,
    id::MAXIMUM_PACKET_SIZE,
]);
pub(crate) const WILL: Ids = Ids::of(&[
    id::PAYLOAD_FORMAT,
    id::MESSAGE_EXPIRY,
    id::CONTENT_TYPE,
    id::RESPONSE_TOPIC,
    id::CORRELATION_DATA,
    id::WILL_DELAY,
    id::USER,
]);
/// A subscription identifier is for the other direction only [MQTT-3.3.4-6].
pub(crate) const PUBLISH: Ids = Ids::of(&[
    id::PAYLOAD_FORMAT,
    id::MESSAGE_EXPIRY,
    id::CONTENT_TYPE,
    id::RESPONSE_TOPIC,
    id::CORRELATION_DATA,
    id::TOPIC_ALIAS,
    id::USER,
]);
pub(crate) const ACK: Ids = Ids::of(&[id::REASON_STRING, id::USER]);
pub(crate) const AUTH: Ids =
    Ids::of(&[id::AUTHENTICATION_METHOD, id::AUTHENTICATION_DATA, id::REASON_STRING, id::USER]);
pub(crate) const SUBSCRIBE: Ids = Ids::of(&[id::SUBSCRIPTION_ID, id::USER]);
pub(crate) const UNSUBSCRIBE: Ids = Ids::of(&[id::USER]);
pub(crate) const DISCONNECT: Ids = Ids::of(&[id::SESSION_EXPIRY, id::REASON_STRING, id::USER]);
