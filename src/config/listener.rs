//! What a broker can listen for.

use super::setting::words;

/// A socket that clients connect to, by what is spoken there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// AMQP 0-9-1.
    Amqp,
    /// MQTT.
    Mqtt,
    /// The management API.
    Http,
    /// MQTT and AMQP over WebSocket.
    WebSocket,
    /// Metrics.
    Metrics,
    /// AMQP 0-9-1 over TLS.
    Amqps,
    /// MQTT over TLS.
    Mqtts,
    /// The management API over TLS.
    Https,
    /// MQTT and AMQP over WebSocket and TLS.
    Wss,
}

impl Listener {
    /// All of them.
    pub const ALL: [Listener; 9] = [
        Listener::Amqp,
        Listener::Mqtt,
        Listener::Http,
        Listener::WebSocket,
        Listener::Metrics,
        Listener::Amqps,
        Listener::Mqtts,
        Listener::Https,
        Listener::Wss,
    ];
}

words!(Listener {
    Amqp = "amqp",
    Mqtt = "mqtt",
    Http = "http",
    WebSocket = "websocket",
    Metrics = "metrics",
    Amqps = "amqps",
    Mqtts = "mqtts",
    Https = "https",
    Wss = "wss",
});
