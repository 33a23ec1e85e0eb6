//! Class 60, basic.

use super::{MethodId, bit};
use crate::error::Error;
use crate::table::{Table, TableLimits};
use crate::wire::Reader;

/// basic.qos
pub const QOS: MethodId = MethodId::new(60, 10);
pub(crate) const QOS_OK: MethodId = MethodId::new(60, 11);
/// basic.consume
pub const CONSUME: MethodId = MethodId::new(60, 20);
pub(crate) const CONSUME_OK: MethodId = MethodId::new(60, 21);
/// basic.cancel
pub const CANCEL: MethodId = MethodId::new(60, 30);
pub(crate) const CANCEL_OK: MethodId = MethodId::new(60, 31);
/// basic.publish
pub const PUBLISH: MethodId = MethodId::new(60, 40);
pub(crate) const RETURN: MethodId = MethodId::new(60, 50);
pub(crate) const DELIVER: MethodId = MethodId::new(60, 60);
/// basic.get
pub const GET: MethodId = MethodId::new(60, 70);
pub(crate) const GET_OK: MethodId = MethodId::new(60, 71);
pub(crate) const GET_EMPTY: MethodId = MethodId::new(60, 72);
/// basic.ack
pub const ACK: MethodId = MethodId::new(60, 80);
/// basic.reject
pub const REJECT: MethodId = MethodId::new(60, 90);
pub(crate) const RECOVER_ASYNC: MethodId = MethodId::new(60, 100);
/// basic.recover
pub const RECOVER: MethodId = MethodId::new(60, 110);
pub(crate) const RECOVER_OK: MethodId = MethodId::new(60, 111);
/// basic.nack
pub const NACK: MethodId = MethodId::new(60, 120);

/// basic.qos. A prefetch size other than 0 is refused by the state machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Qos {
    pub(crate) prefetch_size: u32,
    /// Messages that may be unacknowledged; 0 is no limit.
    pub prefetch_count: u16,
    /// For the channel as a whole instead of for each new consumer.
    pub global: bool,
}

impl Qos {
    pub(crate) fn parse(fields: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            prefetch_size: fields.long()?,
            prefetch_count: fields.short()?,
            global: bit(fields.octet()?, 0),
        })
    }
}

/// basic.consume
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Consume<'a> {
    /// The queue; empty is the one last declared on the channel.
    pub queue: &'a str,
    /// The name of the consumer; empty if the server is to choose one.
    pub consumer_tag: &'a str,
    /// Do not deliver what this connection published. Ignored by custom.
    pub no_local: bool,
    /// Deliveries are settled as they are sent.
    pub no_ack: bool,
    /// Be the only consumer.
    pub exclusive: bool,
    /// No reply is due.
    pub no_wait: bool,
    /// Further arguments.
    pub arguments: Table<'a>,
}

impl<'a> Consume<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>, limits: TableLimits) -> Result<Self, Error> {
        fields.short()?; // reserved
        let (queue, consumer_tag) = (fields.short_str()?, fields.short_str()?);
        let bits = fields.octet()?;
        Ok(Self {
            queue,
            consumer_tag,
            no_local: bit(bits, 0),
            no_ack: bit(bits, 1),
            exclusive: bit(bits, 2),
            no_wait: bit(bits, 3),
            arguments: fields.table(limits)?,
        })
    }
}

/// basic.cancel
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cancel<'a> {
    /// The name of the consumer.
    pub consumer_tag: &'a str,
    /// No reply is due.
    pub no_wait: bool,
}

impl<'a> Cancel<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self { consumer_tag: fields.short_str()?, no_wait: bit(fields.octet()?, 0) })
    }
}

/// basic.get
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Get<'a> {
    /// The queue; empty is the one last declared on the channel.
    pub queue: &'a str,
    /// The delivery is settled as it is sent.
    pub no_ack: bool,
}

impl<'a> Get<'a> {
    pub(crate) fn parse(fields: &mut Reader<'a>) -> Result<Self, Error> {
        fields.short()?; // reserved
        Ok(Self { queue: fields.short_str()?, no_ack: bit(fields.octet()?, 0) })
    }
}

/// basic.publish, before its content.
pub(crate) struct Publish<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
}

impl<'a> Publish<'a> {
    #[inline]
    pub(crate) fn parse(arguments: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Reader::new(arguments);
        fields.short()?; // reserved
        let (exchange, routing_key) = (fields.short_str()?, fields.short_str()?);
        let bits = fields.octet()?;
        fields.finish()?;
        Ok(Self { exchange, routing_key, mandatory: bit(bits, 0), immediate: bit(bits, 1) })
    }
}

/// basic.ack, basic.nack or basic.reject.
pub(crate) struct Settle {
    pub(crate) delivery_tag: u64,
    pub(crate) multiple: bool,
    pub(crate) requeue: bool,
}

impl Settle {
    /// The bits are multiple in ack, multiple and requeue in nack, requeue in reject.
    #[inline]
    pub(crate) fn parse(id: MethodId, arguments: &[u8]) -> Result<Self, Error> {
        let mut fields = Reader::new(arguments);
        let (delivery_tag, bits) = (fields.long_long()?, fields.octet()?);
        fields.finish()?;
        let multiple = id != REJECT && bit(bits, 0);
        let requeue = if id == REJECT { bit(bits, 0) } else { bit(bits, 1) };
        Ok(Self { delivery_tag, multiple, requeue })
    }
}

/// The `requeue` field of basic.recover and basic.recover-async.
pub(crate) fn parse_recover(arguments: &[u8]) -> Result<bool, Error> {
    let mut fields = Reader::new(arguments);
    let requeue = bit(fields.octet()?, 0);
    fields.finish()?;
    Ok(requeue)
}
