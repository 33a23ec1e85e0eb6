//! PUBACK, PUBREC, PUBREL, PUBCOMP, and SUBACK and UNSUBACK.
//!
//! ```text
//! type, flags │ remaining length │ packet id │ reason code │ properties
//! ```
//! The properties, and a reason code of 0, may be left out. MQTT 3.1.1 has neither.

use super::{Rules, Version, kind};
use crate::connection::output::Output;
use crate::property;
use crate::read::Reader;
use crate::{Error, ReasonCode};

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
    if rules.version == Version::V3 {
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

/// Writes the acknowledgement of type `kind`, in its shortest form.
#[inline]
pub(crate) fn write(output: &mut Output, kind: u8, packet_id: u16, reason: ReasonCode) {
    let flags = if kind == kind::PUBREL { 0b0010 } else { 0 };
    let is_short = reason == ReasonCode::Success || output.version() == Version::V3;
    let len = if is_short { 2 } else { 3 };
    let Some(out) = output.packet(kind << 4 | flags, len, len) else {
        return;
    };
    out.extend_from_slice(&packet_id.to_be_bytes());
    if !is_short {
        out.push(reason as u8);
    }
}

/// Writes SUBACK: one code per filter, in order [MQTT-3.9.3-1].
pub(crate) fn write_suback(output: &mut Output, packet_id: u16, codes: &[ReasonCode]) {
    let version = output.version();
    let code = |reason: &ReasonCode| match version {
        Version::V3 if reason.is_failure() => ReasonCode::UnspecifiedError as u8,
        _ => *reason as u8,
    };
    write_codes(output, kind::SUBACK, packet_id, codes.iter().map(code));
}

/// Writes UNSUBACK, which in MQTT 3.1.1 has no codes.
pub(crate) fn write_unsuback(output: &mut Output, packet_id: u16, codes: &[ReasonCode]) {
    let codes = if output.version() == Version::V3 { &[] } else { codes };
    write_codes(output, kind::UNSUBACK, packet_id, codes.iter().map(|&reason| reason as u8));
}

fn write_codes(
    output: &mut Output,
    kind: u8,
    packet_id: u16,
    codes: impl ExactSizeIterator<Item = u8>,
) {
    let has_properties = output.version() == Version::V5;
    let len = 2 + usize::from(has_properties) + codes.len();
    let Some(out) = output.packet(kind << 4, len, len) else {
        return;
    };
    out.extend_from_slice(&packet_id.to_be_bytes());
    if has_properties {
        out.push(0);
    }
    out.extend(codes);
}
