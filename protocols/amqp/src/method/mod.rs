//! Methods (AMQP 0-9-1 §1.3 and RabbitMQ's extensions), one file per class.
//!
//! A client's method borrows its fields from the frame. What the state machine handles itself,
//! such as basic.publish, basic.ack or channel.open, is not part of the public [`Method`].

pub mod basic;
pub mod channel;
pub(crate) mod confirm;
pub mod connection;
pub mod exchange;
pub mod queue;
mod reply;
pub mod tx;

use std::fmt;

pub use reply::ServerMethod;

use crate::error::Error;
use crate::table::TableLimits;
use crate::wire::Reader;

/// Class and method number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodId {
    /// The class, for example 60 for basic.
    pub class: u16,
    /// The method inside its class.
    pub method: u16,
}

impl MethodId {
    /// No method: what a frame error names.
    pub const NONE: Self = Self::new(0, 0);

    /// Method number `method` of class number `class`.
    pub const fn new(class: u16, method: u16) -> Self {
        Self { class, method }
    }

    /// The id at the front of a method frame's payload, and the arguments behind it.
    #[inline]
    pub(crate) fn split(payload: &[u8]) -> Result<(Self, &[u8]), Error> {
        let ([c0, c1, m0, m1], arguments) =
            payload.split_first_chunk::<4>().ok_or(Error::Truncated)?;
        let id = Self::new(u16::from_be_bytes([*c0, *c1]), u16::from_be_bytes([*m0, *m1]));
        Ok((id, arguments))
    }

    /// The octets of the id.
    #[inline]
    pub(crate) const fn encoded(self) -> [u8; 4] {
        let [c0, c1] = self.class.to_be_bytes();
        let [m0, m1] = self.method.to_be_bytes();
        [c0, c1, m0, m1]
    }
}

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "method {}.{}", self.class, self.method)
    }
}

/// A method of the client that the broker has to answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method<'a> {
    /// connection.update-secret, on channel 0
    UpdateSecret(connection::UpdateSecret<'a>),
    /// exchange.declare
    ExchangeDeclare(exchange::Declare<'a>),
    /// exchange.delete
    ExchangeDelete(exchange::Delete<'a>),
    /// exchange.bind
    ExchangeBind(exchange::Bind<'a>),
    /// exchange.unbind
    ExchangeUnbind(exchange::Bind<'a>),
    /// queue.declare
    QueueDeclare(queue::Declare<'a>),
    /// queue.bind
    QueueBind(queue::Bind<'a>),
    /// queue.unbind; it is always answered
    QueueUnbind(queue::Unbind<'a>),
    /// queue.purge
    QueuePurge(queue::Purge<'a>),
    /// queue.delete
    QueueDelete(queue::Delete<'a>),
    /// basic.qos
    BasicQos(basic::Qos),
    /// basic.consume
    BasicConsume(basic::Consume<'a>),
    /// basic.cancel
    BasicCancel(basic::Cancel<'a>),
    /// basic.get
    BasicGet(basic::Get<'a>),
}

impl<'a> Method<'a> {
    /// Decodes the arguments of `id`; `None` if it is not one of these methods.
    pub(crate) fn parse(
        id: MethodId,
        arguments: &'a [u8],
        limits: TableLimits,
    ) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(arguments);
        let fields = &mut reader;
        let method = match id {
            connection::UPDATE_SECRET => {
                Self::UpdateSecret(connection::UpdateSecret::parse(fields)?)
            }
            exchange::DECLARE => Self::ExchangeDeclare(exchange::Declare::parse(fields, limits)?),
            exchange::DELETE => Self::ExchangeDelete(exchange::Delete::parse(fields)?),
            exchange::BIND => Self::ExchangeBind(exchange::Bind::parse(fields, limits)?),
            exchange::UNBIND => Self::ExchangeUnbind(exchange::Bind::parse(fields, limits)?),
            queue::DECLARE => Self::QueueDeclare(queue::Declare::parse(fields, limits)?),
            queue::BIND => Self::QueueBind(queue::Bind::parse(fields, limits)?),
            queue::UNBIND => Self::QueueUnbind(queue::Unbind::parse(fields, limits)?),
            queue::PURGE => Self::QueuePurge(queue::Purge::parse(fields)?),
            queue::DELETE => Self::QueueDelete(queue::Delete::parse(fields)?),
            basic::QOS => Self::BasicQos(basic::Qos::parse(fields)?),
            basic::CONSUME => Self::BasicConsume(basic::Consume::parse(fields, limits)?),
            basic::CANCEL => Self::BasicCancel(basic::Cancel::parse(fields)?),
            basic::GET => Self::BasicGet(basic::Get::parse(fields)?),
            _ => return Ok(None),
        };
        reader.finish()?;
        Ok(Some(method))
    }

    /// Class and method number, for error replies.
    pub const fn id(&self) -> MethodId {
        match self {
            Self::UpdateSecret(_) => connection::UPDATE_SECRET,
            Self::ExchangeDeclare(_) => exchange::DECLARE,
            Self::ExchangeDelete(_) => exchange::DELETE,
            Self::ExchangeBind(_) => exchange::BIND,
            Self::ExchangeUnbind(_) => exchange::UNBIND,
            Self::QueueDeclare(_) => queue::DECLARE,
            Self::QueueBind(_) => queue::BIND,
            Self::QueueUnbind(_) => queue::UNBIND,
            Self::QueuePurge(_) => queue::PURGE,
            Self::QueueDelete(_) => queue::DELETE,
            Self::BasicQos(_) => basic::QOS,
            Self::BasicConsume(_) => basic::CONSUME,
            Self::BasicCancel(_) => basic::CANCEL,
            Self::BasicGet(_) => basic::GET,
        }
    }
}

/// Bit `index` of an octet of packed booleans, from the lowest up (§4.2.5.2).
#[inline]
const fn bit(octet: u8, index: u8) -> bool {
    octet >> index & 1 == 1
}
