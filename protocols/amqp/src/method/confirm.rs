//! Class 85, confirm: answered by the state machine.

use super::{MethodId, bit};
use crate::error::Error;
use crate::wire::Reader;

pub(crate) const SELECT: MethodId = MethodId::new(85, 10);
pub(crate) const SELECT_OK: MethodId = MethodId::new(85, 11);

/// The `nowait` field of confirm.select.
pub(crate) fn parse_select(arguments: &[u8]) -> Result<bool, Error> {
    let mut fields = Reader::new(arguments);
    let no_wait = bit(fields.octet()?, 0);
    fields.finish()?;
    Ok(no_wait)
}
