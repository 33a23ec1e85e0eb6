//! PUBACK, PUBREC, PUBREL, PUBCOMP, and SUBACK and UNSUBACK.
//!
//! ```text
//! type, flags │ remaining length │ packet id │ reason code │ properties
//! ```
//! The properties, and a reason code of 0, may be left out. MQTT 3.1.1 has neither.

use bytes::BufMut;

use super::{Rules, Version, kind};
use crate::connection::output::Output;
use crate::property;
use crate::read::Reader;
use crate::{Error, Reason, ReasonCode};

/// Reads an acknowledgement; `is_listed` knows the reason codes that it may carry.
#[inline]
pub(crate) fn parse(
    body: &[u8],
    rules: Rules,
    is_listed: fn(ReasonCode) -> bool,
) -> Result<(u16, ReasonCode), Error> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    if reader.is_empty() {
        return Ok((packet_id, ReasonCode::Success));
    }
    if rules.version != Version::V5 {
        return Err(Error::Malformed("bytes after the packet identifier"));
    }
    let reason = ReasonCode::from_u8(reader.u8()?)
        .filter(|&reason| is_listed(reason))
        .ok_or(Error::Protocol("reason code does not belong in this packet [MQTT-3.4.2-1]"))?;
    if !reader.is_empty() {
        let section = reader.section()?;
        property::scan(section, property::ACK, rules.user_properties_max, |_| ())?;
        reader.finish()?;
    }
    Ok((packet_id, reason))
}

/// Writes the acknowledgement of type `kind`: in its shortest form, unless there is something to
/// explain.
#[inline]
pub(crate) fn write(output: &mut Output, kind: u8, packet_id: u16, reason: Reason<'_>) {
    if !reason.text.is_empty() && write_explained(output, kind, packet_id, reason) {
        return;
    }
    let reason = reason.code;
    let flags = if kind == kind::PUBREL { 0b0010 } else { 0 };
    let is_short = reason == ReasonCode::Success || output.version() != Version::V5;
    let len = if is_short { 2 } else { 3 };
    let Some(out) = output.packet(kind << 4 | flags, len, len) else {
        return;
    };
    out.extend_from_slice(&packet_id.to_be_bytes());
    if !is_short {
        out.put_u8(reason as u8);
    }
}

/// Only PUBACK and PUBREC explain themselves. False if the client does not take the explanation.
#[cold]
fn write_explained(output: &mut Output, kind: u8, packet_id: u16, reason: Reason<'_>) -> bool {
    let properties = output.reason_string(reason.text);
    let len = 3 + property::section_len(&properties);
    if properties.is_empty() {
        return false;
    }
    let Some(out) = output.packet(kind << 4, len, len) else {
        return false;
    };
    out.extend_from_slice(&packet_id.to_be_bytes());
    out.put_u8(reason.code as u8);
    property::put_section(out, &properties);
    true
}

/// Writes SUBACK: one code per filter, in order [MQTT-3.9.3-1], and one text for all.
pub(crate) fn write_suback(output: &mut Output, packet_id: u16, codes: &[ReasonCode], text: &str) {
    let version = output.version();
    let code = |reason: &ReasonCode| match version {
        Version::V31 | Version::V3 if reason.is_failure() => ReasonCode::UnspecifiedError as u8,
        _ => *reason as u8,
    };
    write_codes(output, (kind::SUBACK, packet_id), codes.iter().map(code), text);
}

/// Writes UNSUBACK, which in MQTT 3.1.1 has no codes.
pub(crate) fn write_unsuback(
    output: &mut Output,
    packet_id: u16,
    codes: &[ReasonCode],
    text: &str,
) {
    let codes = if output.version() != Version::V5 { &[] } else { codes };
    let codes = codes.iter().map(|&reason| reason as u8);
    write_codes(output, (kind::UNSUBACK, packet_id), codes, text);
}

/// With the text if the client takes that [MQTT-3.9.2-1, -3.11.2-1], else without.
fn write_codes(
    output: &mut Output,
    packet: (u8, u16),
    codes: impl ExactSizeIterator<Item = u8> + Clone,
    text: &str,
) {
    let properties = output.reason_string(text);
    if !write_list(output, packet, &properties, codes.clone()) && !properties.is_empty() {
        write_list(output, packet, &[], codes);
    }
}

fn write_list(
    output: &mut Output,
    (kind, packet_id): (u8, u16),
    properties: &[u8],
    codes: impl ExactSizeIterator<Item = u8>,
) -> bool {
    let has_properties = output.version() == Version::V5;
    let section = if has_properties { property::section_len(properties) } else { 0 };
    let len = 2 + section + codes.len();
    let Some(out) = output.packet(kind << 4, len, len) else {
        return false;
    };
    out.extend_from_slice(&packet_id.to_be_bytes());
    if has_properties {
        property::put_section(out, properties);
    }
    out.extend(codes);
    true
}
