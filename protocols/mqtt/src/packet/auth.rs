//! AUTH, both ways: one step of an enhanced authentication. MQTT 5 only.
//!
//! ```text
//! 1111 0000 │ remaining length │ reason code │ properties
//! ```
//! Both parts may be left out of an AUTH with the reason code 0, which only a server sends.

use bytes::BufMut;

use super::{Rules, kind};
use crate::connection::output::Output;
use crate::property::{self, Properties, Property, id};
use crate::read::Reader;
use crate::{Error, ReasonCode};

/// A client's step in an enhanced authentication. Its method is the one of CONNECT [MQTT-4.12.0-5].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// [`ReasonCode::ContinueAuthentication`] or [`ReasonCode::ReAuthenticate`].
    pub reason: ReasonCode,
    /// What the method has to say.
    pub data: Option<&'a [u8]>,
    /// All properties, among them those of the user.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    /// Reads an AUTH under the method that CONNECT named.
    pub(crate) fn parse(body: &'a [u8], rules: Rules, agreed: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let code = if reader.is_empty() { 0 } else { reader.u8()? };
        let reason = ReasonCode::from_u8(code).filter(|&reason| is_of_client(reason)).ok_or(
            Error::Protocol("reason code does not belong in a client's AUTH [MQTT-3.15.2-1]"),
        )?;
        let section = if reader.is_empty() { &[] } else { reader.section()? };
        reader.finish()?;
        let (mut method, mut data) = (None, None);
        let users_max = rules.user_properties_max;
        let properties =
            property::scan(section, property::AUTH, users_max, |property| match property {
                Property::AuthenticationMethod(name) => method = Some(name),
                Property::AuthenticationData(bytes) => data = Some(bytes),
                _ => (),
            })?;
        let method = method.ok_or(Error::Protocol("AUTH names no authentication method"))?;
        if method != agreed {
            return Err(Error::rule(
                ReasonCode::BadAuthenticationMethod,
                "authentication method is not the one of CONNECT [MQTT-4.12.0-5]",
            ));
        }
        Ok(Self { reason, data, properties })
    }
}

const fn is_of_client(reason: ReasonCode) -> bool {
    matches!(reason, ReasonCode::ContinueAuthentication | ReasonCode::ReAuthenticate)
}

/// Writes AUTH; false if it is larger than the client takes. `data` is not longer than 65,535 bytes.
pub(crate) fn write(output: &mut Output, reason: ReasonCode, method: &str, data: &[u8]) -> bool {
    let properties = properties(method, data);
    let len = 1 + property::section_len(&properties);
    let Some(out) = output.packet(kind::AUTH << 4, len, len) else {
        return false;
    };
    out.put_u8(reason as u8);
    property::put_section(out, &properties);
    true
}

/// Method and data as they stand in AUTH and CONNACK.
pub(super) fn properties(method: &str, data: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(6 + method.len() + data.len());
    property::put_property(&mut raw, id::AUTHENTICATION_METHOD, method.as_bytes());
    property::put_property(&mut raw, id::AUTHENTICATION_DATA, data);
    raw
}
