//! CONNACK: the answer to CONNECT.
//!
//! ```text
//! 0010 0000 │ remaining length │ session present │ reason or return code │ properties (MQTT 5)
//! ```

use super::{Version, kind};
use crate::connection::output::Output;
use crate::property::{id, put_binary};
use crate::{Config, ReasonCode, varint};

/// What the broker says when it accepts a client. The limits of [`Config`] are added by themselves.
///
/// ```
/// let connack = leveret_mqtt::ConnAck { session_present: true, ..Default::default() };
/// assert_eq!(connack.assigned_client_id, None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the client finds its session again. Not with Clean Start [MQTT-3.2.2-2].
    pub session_present: bool,
    /// The identifier given to a client that came without one [MQTT-3.1.3-7].
    pub assigned_client_id: Option<&'a str>,
    /// A shorter session expiry than [`crate::Connect::session_expiry_s`], in seconds.
    pub session_expiry_s: Option<u32>,
}

/// What an MQTT 5 client has to be told because it is not what it asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    pub(crate) session_expiry_s: Option<u32>,
    pub(crate) keep_alive_s: Option<u16>,
}

/// Writes the CONNACK that accepts; false if it is larger than the client takes.
pub(crate) fn write_accept(
    output: &mut Output,
    connack: &ConnAck<'_>,
    announced: Announced,
    config: &Config,
) -> bool {
    let properties = match output.version() {
        Version::V3 => None,
        Version::V5 => Some(properties(connack, announced, config)),
    };
    write(output, connack.session_present, 0, properties.as_deref())
}

/// Writes the CONNACK that refuses, if the client's protocol has a word for the reason. Session
/// Present is 0 [MQTT-3.2.2-6].
pub(crate) fn write_refuse(output: &mut Output, reason: ReasonCode) {
    match output.version() {
        Version::V5 => drop(write(output, false, reason as u8, Some(&[]))),
        Version::V3 => {
            if let Some(code) = reason.connect_return_code() {
                write(output, false, code, None);
            }
        }
    }
}

fn write(output: &mut Output, session_present: bool, code: u8, properties: Option<&[u8]>) -> bool {
    let section = properties.map_or(0, |raw| varint::len(raw.len()) + raw.len());
    let Some(out) = output.packet(kind::CONNACK << 4, 2 + section, 2 + section) else {
        return false;
    };
    out.extend([u8::from(session_present), code]);
    if let Some(raw) = properties {
        varint::write(out, raw.len());
        out.extend(raw);
    }
    true
}

fn properties(connack: &ConnAck<'_>, announced: Announced, config: &Config) -> Vec<u8> {
    let mut raw = Vec::with_capacity(64);
    if let Some(seconds) = announced.session_expiry_s {
        raw.push(id::SESSION_EXPIRY);
        raw.extend(seconds.to_be_bytes());
    }
    if config.receive_maximum != u16::MAX {
        raw.push(id::RECEIVE_MAXIMUM);
        raw.extend(config.receive_maximum.to_be_bytes());
    }
    raw.push(id::MAXIMUM_PACKET_SIZE);
    raw.extend(config.packet_size_max.to_be_bytes());
    if let Some(client_id) = connack.assigned_client_id {
        raw.push(id::ASSIGNED_CLIENT_ID);
        put_binary(&mut raw, client_id.as_bytes());
    }
    if let Some(seconds) = announced.keep_alive_s {
        raw.push(id::SERVER_KEEP_ALIVE);
        raw.extend(seconds.to_be_bytes());
    }
    raw.extend([id::SHARED_SUBSCRIPTION_AVAILABLE, 0]);
    raw
}
