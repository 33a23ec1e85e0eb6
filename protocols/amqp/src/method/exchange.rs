//! Class 40, exchange.

use super::{MethodId, bit};
use crate::error::Error;
use crate::table::{Table, TableLimits};
use crate::wire::Reader;

/// exchange.declare
pub const DECLARE: MethodId = MethodId::new(40, 10);
pub(crate) const DECLARE_OK: MethodId = MethodId::new(40, 11);
/// exchange.delete
pub const DELETE: MethodId = MethodId::new(40, 20);
pub(crate) const DELETE_OK: MethodId = MethodId::new(40, 21);
/// exchange.bind
pub const BIND: MethodId = MethodId::new(40, 30);
pub(crate) const BIND_OK: MethodId = MethodId::new(40, 31);
/// exchange.unbind
pub const UNBIND: MethodId = MethodId::new(40, 40);
/// The reply to unbind is 51, not 41.
pub(crate) const UNBIND_OK: MethodId = MethodId::new(40, 51);

/// exchange.declare
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declare<'a> {
    /// Its name.
    pub exchange: &'a str,
    /// Its type, for example `topic`.
    pub kind: &'a str,
    /// Only ask whether it exists.
    pub passive: bool,
    /// It survives a restart.
    pub durable: bool,
    /// It is deleted with its last binding.
    pub auto_delete: bool,
    /// Clients cannot publish to it.
    pub internal: bool,
    /// No reply is due.
    pub no_wait: bool,
    /// Further arguments.
    pub arguments: Table<'a>,
}

impl<'a> Declare<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>, limits: TableLimits) -> Result<Self, Error> {
        fields.short()?; // reserved
        let (exchange, kind, bits) = (fields.short_str()?, fields.short_str()?, fields.octet()?);
        Ok(Self {
            exchange,
            kind,
            passive: bit(bits, 0),
            durable: bit(bits, 1),
            auto_delete: bit(bits, 2),
            internal: bit(bits, 3),
            no_wait: bit(bits, 4),
            arguments: fields.table(limits)?,
        })
    }
}

/// exchange.delete
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delete<'a> {
    /// Its name.
    pub exchange: &'a str,
    /// Only if it has no bindings.
    pub if_unused: bool,
    /// No reply is due.
    pub no_wait: bool,
}

impl<'a> Delete<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>) -> Result<Self, Error> {
        fields.short()?; // reserved
        let (exchange, bits) = (fields.short_str()?, fields.octet()?);
        Ok(Self { exchange, if_unused: bit(bits, 0), no_wait: bit(bits, 1) })
    }
}

/// exchange.bind and exchange.unbind
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bind<'a> {
    /// The exchange that messages go to.
    pub destination: &'a str,
    /// The exchange that messages come from.
    pub source: &'a str,
    /// The binding key.
    pub routing_key: &'a str,
    /// No reply is due.
    pub no_wait: bool,
    /// Further arguments.
    pub arguments: Table<'a>,
}

impl<'a> Bind<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>, limits: TableLimits) -> Result<Self, Error> {
        fields.short()?; // reserved
        Ok(Self {
            destination: fields.short_str()?,
            source: fields.short_str()?,
            routing_key: fields.short_str()?,
            no_wait: bit(fields.octet()?, 0),
            arguments: fields.table(limits)?,
        })
    }
}
