//! Class 20, channel, and class 30, access: answered by the state machine.

use super::{MethodId, bit};
use crate::error::Error;
use crate::wire::Reader;

/// channel.open.
pub const OPEN: MethodId = MethodId::new(20, 10);
pub(crate) const OPEN_OK: MethodId = MethodId::new(20, 11);
pub(crate) const FLOW: MethodId = MethodId::new(20, 20);
pub(crate) const FLOW_OK: MethodId = MethodId::new(20, 21);
pub(crate) const CLOSE: MethodId = MethodId::new(20, 40);
pub(crate) const CLOSE_OK: MethodId = MethodId::new(20, 41);
pub(crate) const ACCESS_REQUEST: MethodId = MethodId::new(30, 10);
pub(crate) const ACCESS_REQUEST_OK: MethodId = MethodId::new(30, 11);

/// The `active` field of channel.flow.
pub(crate) fn parse_flow(arguments: &[u8]) -> Result<bool, Error> {
    let mut fields = Reader::new(arguments);
    let active = bit(fields.octet()?, 0);
    fields.finish()?;
    Ok(active)
}
