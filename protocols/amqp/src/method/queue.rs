//! Class 50, queue.

use super::{MethodId, bit};
use crate::error::Error;
use crate::table::{Table, TableLimits};
use crate::wire::Reader;

/// queue.declare
pub const DECLARE: MethodId = MethodId::new(50, 10);
pub(crate) const DECLARE_OK: MethodId = MethodId::new(50, 11);
/// queue.bind
pub const BIND: MethodId = MethodId::new(50, 20);
pub(crate) const BIND_OK: MethodId = MethodId::new(50, 21);
/// queue.purge
pub const PURGE: MethodId = MethodId::new(50, 30);
pub(crate) const PURGE_OK: MethodId = MethodId::new(50, 31);
/// queue.delete
pub const DELETE: MethodId = MethodId::new(50, 40);
pub(crate) const DELETE_OK: MethodId = MethodId::new(50, 41);
/// queue.unbind
pub const UNBIND: MethodId = MethodId::new(50, 50);
pub(crate) const UNBIND_OK: MethodId = MethodId::new(50, 51);

/// queue.declare
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declare<'a> {
    /// Its name; empty if the server is to choose one.
    pub queue: &'a str,
    /// Only ask whether it exists.
    pub passive: bool,
    /// It survives a restart.
    pub durable: bool,
    /// It belongs to this connection.
    pub exclusive: bool,
    /// It is deleted with its last consumer.
    pub auto_delete: bool,
    /// No reply is due.
    pub no_wait: bool,
    /// Further arguments.
    pub arguments: Table<'a>,
}

impl<'a> Declare<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>, limits: TableLimits) -> Result<Self, Error> {
        fields.short()?; // reserved
        let (queue, bits) = (fields.short_str()?, fields.octet()?);
        Ok(Self {
            queue,
            passive: bit(bits, 0),
            durable: bit(bits, 1),
            exclusive: bit(bits, 2),
            auto_delete: bit(bits, 3),
            no_wait: bit(bits, 4),
            arguments: fields.table(limits)?,
        })
    }
}

/// queue.bind
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bind<'a> {
    /// The queue; empty is the one last declared on the channel.
    pub queue: &'a str,
    /// The exchange that messages come from.
    pub exchange: &'a str,
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
            queue: fields.short_str()?,
            exchange: fields.short_str()?,
            routing_key: fields.short_str()?,
            no_wait: bit(fields.octet()?, 0),
            arguments: fields.table(limits)?,
        })
    }
}

/// queue.unbind
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unbind<'a> {
    /// The queue; empty is the one last declared on the channel.
    pub queue: &'a str,
    /// The exchange that messages come from.
    pub exchange: &'a str,
    /// The binding key.
    pub routing_key: &'a str,
    /// Further arguments.
    pub arguments: Table<'a>,
}

impl<'a> Unbind<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>, limits: TableLimits) -> Result<Self, Error> {
        fields.short()?; // reserved
        Ok(Self {
            queue: fields.short_str()?,
            exchange: fields.short_str()?,
            routing_key: fields.short_str()?,
            arguments: fields.table(limits)?,
        })
    }
}

/// queue.purge
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purge<'a> {
    /// The queue; empty is the one last declared on the channel.
    pub queue: &'a str,
    /// No reply is due.
    pub no_wait: bool,
}

impl<'a> Purge<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>) -> Result<Self, Error> {
        fields.short()?; // reserved
        Ok(Self { queue: fields.short_str()?, no_wait: bit(fields.octet()?, 0) })
    }
}

/// queue.delete
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delete<'a> {
    /// The queue; empty is the one last declared on the channel.
    pub queue: &'a str,
    /// Only if it has no consumers.
    pub if_unused: bool,
    /// Only if it has no messages.
    pub if_empty: bool,
    /// No reply is due.
    pub no_wait: bool,
}

impl<'a> Delete<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>) -> Result<Self, Error> {
        fields.short()?; // reserved
        let (queue, bits) = (fields.short_str()?, fields.octet()?);
        Ok(Self { queue, if_unused: bit(bits, 0), if_empty: bit(bits, 1), no_wait: bit(bits, 2) })
    }
}
