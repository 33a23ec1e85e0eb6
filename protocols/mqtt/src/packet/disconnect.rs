//! DISCONNECT, both ways.
//!
//! ```text
//! 1110 0000 │ remaining length │ reason code │ properties
//! ```
//! MQTT 3.1.1 has no body, and only clients send it. In MQTT 5 both parts may be left out.

use bytes::BufMut;

use super::{Rules, Version, kind};
use crate::connection::output::Output;
use crate::property::{self, Property};
use crate::read::Reader;
use crate::{Config, Error, Reason, ReasonCode};

/// A client's goodbye. The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// Seconds that replace the session expiry of CONNECT, if the client changed its mind.
    pub session_expiry_s: Option<u32>,
    /// What becomes of the will.
    pub will: WillFate,
}

/// What becomes of a will when its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WillFate {
    /// It is published when it is due.
    Keep,
    /// It was withdrawn [MQTT-3.14.4-3].
    Drop,
}

impl Disconnect {
    pub(crate) fn parse(body: &[u8], rules: Rules) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        if rules.version != Version::V5 || reader.is_empty() {
            reader.finish()?;
            return Ok(Self::new(ReasonCode::Success, None));
        }
        let reason = ReasonCode::from_u8(reader.u8()?)
            .filter(|reason| reason.is_disconnect())
            .ok_or(Error::Protocol("reason code does not belong in DISCONNECT [MQTT-3.14.2-1]"))?;
        let mut expiry = None;
        if !reader.is_empty() {
            let section = reader.section()?;
            property::scan(section, property::DISCONNECT, rules.user_properties_max, |property| {
                if let Property::SessionExpiry(seconds) = property {
                    expiry = Some(seconds);
                }
            })?;
            reader.finish()?;
        }
        Ok(Self::new(reason, expiry))
    }

    fn new(reason: ReasonCode, session_expiry_s: Option<u32>) -> Self {
        let is_clean = reason == ReasonCode::Success;
        Self {
            reason,
            session_expiry_s,
            will: if is_clean { WillFate::Drop } else { WillFate::Keep },
        }
    }
}

/// Writes DISCONNECT in the most telling form that the client takes. MQTT 3.1.1 clients are not told.
pub(crate) fn write(output: &mut Output, reason: Reason<'_>, config: &Config) {
    if output.version() == Version::V5 {
        let forms = super::explanations(output, reason, config);
        _ = forms.iter().any(|properties| write_form(output, reason.code, properties));
    }
}

fn write_form(output: &mut Output, code: ReasonCode, properties: &[u8]) -> bool {
    let len = match (code, properties) {
        (ReasonCode::Success, []) => 0,
        (_, []) => 1,
        _ => 1 + property::section_len(properties),
    };
    let Some(out) = output.packet(kind::DISCONNECT << 4, len, len) else {
        return false;
    };
    if len > 0 {
        out.put_u8(code as u8);
    }
    if len > 1 {
        property::put_section(out, properties);
    }
    true
}
