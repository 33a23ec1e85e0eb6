//! CONNACK: the answer to CONNECT.
//!
//! ```text
//! 0010 0000 │ remaining length │ session present │ reason or return code │ properties (MQTT 5)
//! ```

use super::{Version, auth, kind};
use crate::connection::output::Output;
use crate::property::{self, id, put_property};
use crate::{Config, Reason};

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
    /// What the client may begin its response topics with. Only for a client that asked for it
    /// [MQTT-3.1.2-28].
    pub response_information: Option<&'a str>,
    /// The last word of an enhanced authentication; without one it is not sent.
    pub authentication_data: &'a [u8],
}

/// What an MQTT 5 client has to be told because it is not what it asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced<'a> {
    pub(crate) session_expiry_s: Option<u32>,
    pub(crate) keep_alive_s: Option<u16>,
    /// The method by which it has authenticated [MQTT-4.12.0-5].
    pub(crate) method: Option<&'a str>,
}

/// Writes the CONNACK that accepts; false if it is larger than the client takes.
pub(crate) fn write_accept(
    output: &mut Output,
    connack: &ConnAck<'_>,
    announced: Announced<'_>,
    config: &Config,
) -> bool {
    let properties = match output.version() {
        Version::V31 | Version::V3 => None,
        Version::V5 => Some(properties(connack, announced, config)),
    };
    // The byte is reserved in MQTT 3.1.
    let session_present = connack.session_present && output.version() != Version::V31;
    write(output, session_present, 0, properties.as_deref())
}

/// Writes the CONNACK that refuses, if the client's protocol has a word for the reason. Session
/// Present is 0 [MQTT-3.2.2-6].
pub(crate) fn write_refuse(output: &mut Output, reason: Reason<'_>, config: &Config) {
    match output.version() {
        Version::V5 => {
            let forms = super::explanations(output, reason, config);
            let code = reason.code as u8;
            _ = forms.iter().any(|properties| write(output, false, code, Some(properties)));
        }
        Version::V31 | Version::V3 => {
            if let Some(code) = reason.code.connect_return_code() {
                write(output, false, code, None);
            }
        }
    }
}

fn write(output: &mut Output, session_present: bool, code: u8, properties: Option<&[u8]>) -> bool {
    let section = properties.map_or(0, property::section_len);
    let Some(out) = output.packet(kind::CONNACK << 4, 2 + section, 2 + section) else {
        return false;
    };
    out.extend([u8::from(session_present), code]);
    if let Some(raw) = properties {
        property::put_section(out, raw);
    }
    true
}

fn properties(connack: &ConnAck<'_>, announced: Announced<'_>, config: &Config) -> Vec<u8> {
    let mut raw = Vec::with_capacity(64);
    if let Some(seconds) = announced.session_expiry_s {
        raw.push(id::SESSION_EXPIRY);
        raw.extend(seconds.to_be_bytes());
    }
    // In this order, as suites that compare bytes expect it.
    if config.topic_alias_max > 0 {
        raw.push(id::TOPIC_ALIAS_MAXIMUM);
        raw.extend(config.topic_alias_max.to_be_bytes());
    }
    if let Some(client_id) = connack.assigned_client_id {
        put_property(&mut raw, id::ASSIGNED_CLIENT_ID, client_id.as_bytes());
    }
    raw.push(id::MAXIMUM_PACKET_SIZE);
    raw.extend(config.packet_size_max.to_be_bytes());
    if config.receive_maximum != u16::MAX {
        raw.push(id::RECEIVE_MAXIMUM);
        raw.extend(config.receive_maximum.to_be_bytes());
    }
    if let Some(seconds) = announced.keep_alive_s {
        raw.push(id::SERVER_KEEP_ALIVE);
        raw.extend(seconds.to_be_bytes());
    }
    if let Some(prefix) = connack.response_information.filter(|prefix| property::is_string(prefix))
    {
        put_property(&mut raw, id::RESPONSE_INFORMATION, prefix.as_bytes());
    }
    if let Some(method) = announced.method {
        raw.extend(auth::properties(method, connack.authentication_data));
    }
    raw
}
