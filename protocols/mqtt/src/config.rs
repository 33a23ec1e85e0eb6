//! The limits of a connection. Everything that a peer can drive has one here.

use std::time::Duration;

/// Limits and times that all connections of a listener share.
///
/// ```
/// let config = leveret_mqtt::Config { keep_alive_max_s: 600, ..Default::default() };
/// assert_eq!(config.packet_size_max, 16 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Largest packet taken from a client, in bytes with its fixed header. Announced to MQTT 5.
    pub packet_size_max: u32,
    /// Largest CONNECT packet: a peer that nobody knows yet gets less room.
    pub connect_size_max: u32,
    /// How many QoS 1 and 2 messages an MQTT 5 client may have unacknowledged. Not 0. Announced.
    pub receive_maximum: u16,
    /// How many QoS 1 and 2 messages a client may be sent before it acknowledges, whatever larger
    /// Receive Maximum it asks for. Not 0.
    pub in_flight_max: u16,
    /// Highest topic alias that an MQTT 5 client may use; 0 takes none. Announced.
    pub topic_alias_max: u16,
    /// Highest topic alias that a client is sent, whatever more it allows; 0 sends none.
    pub topic_alias_sent_max: u16,
    /// Longest keep alive, in seconds; 0 leaves the choice to the client. Imposed on MQTT 5.
    pub keep_alive_max_s: u16,
    /// Longest session expiry, in seconds; [`u32::MAX`] lets sessions live for ever.
    pub session_expiry_max_s: u32,
    /// How long a peer may take to send its CONNECT, and how long to authenticate after it if it
    /// does that with AUTH packets.
    pub connect_timeout: Duration,
    /// Longest client identifier, in bytes.
    pub client_id_len_max: u16,
    /// How many user properties one packet may carry.
    pub user_properties_max: u16,
    /// Where else clients may go: sent as Server Reference with the reason codes 0x9C and 0x9D. Empty
    /// if they may go nowhere.
    pub server_reference: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            packet_size_max: 16 << 20,
            connect_size_max: 512 << 10,
            receive_maximum: 1024,
            in_flight_max: 1024,
            topic_alias_max: 16,
            topic_alias_sent_max: 16,
            keep_alive_max_s: 0,
            session_expiry_max_s: u32::MAX,
            connect_timeout: Duration::from_secs(10),
            client_id_len_max: 250,
            user_properties_max: 1024,
            server_reference: String::new(),
        }
    }
}
