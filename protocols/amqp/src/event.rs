//! What a connection tells its owner.
//!
//! Events borrow from the input only, never from the connection: it can be answered while the
//! event is still in hand.

use bytes::Bytes;

use crate::error::Exception;
use crate::method::Method;
use crate::properties::Properties;
use crate::transaction::Settlements;
use crate::unsettled::Deliveries;

/// Something the peer wants, or an end that has come.
#[derive(Debug)]
pub enum Event<'a> {
    /// Someone logs in: answer with [`login_ok`](crate::Connection::login_ok) or
    /// [`login_refused`](crate::Connection::login_refused). Until then no input is read.
    Login(Login<'a>),
    /// connection.open: answer with [`open_ok`](crate::Connection::open_ok) or
    /// [`connection_error`](crate::Connection::connection_error). Until then no input is read.
    Open {
        /// The name of the virtual host.
        vhost: &'a str,
    },
    /// channel.open: answer with [`channel_open_ok`](crate::Connection::channel_open_ok).
    ChannelOpen {
        /// The channel.
        channel: u16,
    },
    /// basic.publish with its content.
    Publish(Publish<'a>),
    /// basic.ack, basic.nack or basic.reject.
    Settle {
        /// The channel.
        channel: u16,
        /// What becomes of the deliveries.
        outcome: Outcome,
        /// The deliveries, in the order they were sent in; empty if there was nothing to settle or
        /// it waits for the commit of a transaction.
        deliveries: Deliveries,
    },
    /// basic.recover: requeue the deliveries, then answer with
    /// [`ServerMethod::BasicRecoverOk`](crate::ServerMethod::BasicRecoverOk).
    Recover {
        /// The channel.
        channel: u16,
        /// Everything that was unsettled on the channel, and is not settled in a transaction.
        deliveries: Deliveries,
        /// No reply is due: it was basic.recover-async.
        no_wait: bool,
    },
    /// tx.commit: publish what the channel has published since the last commit or rollback, carry
    /// out the settlements, then answer with
    /// [`ServerMethod::TxCommitOk`](crate::ServerMethod::TxCommitOk).
    Commit {
        /// The channel.
        channel: u16,
        /// The settlements of the transaction. They are the owner's now: if the commit fails, they
        /// are to be requeued.
        settlements: Settlements,
    },
    /// tx.rollback: forget what the channel has published since the last commit or rollback, then
    /// answer with [`ServerMethod::TxRollbackOk`](crate::ServerMethod::TxRollbackOk). What it settled
    /// is unsettled again.
    Rollback {
        /// The channel.
        channel: u16,
    },
    /// Any other method that the broker has to answer, with [`reply`](crate::Connection::reply).
    Method {
        /// The channel; 0 for connection.update-secret.
        channel: u16,
        /// The method.
        method: Method<'a>,
        /// Its arguments as they came, for [`parse_again`](crate::Connection::parse_again).
        arguments: &'a [u8],
    },
    /// The client closes a channel: cancel its consumers, requeue, then answer with
    /// [`channel_close_ok`](crate::Connection::channel_close_ok).
    ChannelClose {
        /// The channel.
        channel: u16,
        /// Everything that was unsettled on the channel.
        unsettled: Deliveries,
    },
    /// The client broke a rule and the channel was closed: cancel its consumers and requeue.
    ChannelFailed {
        /// The channel.
        channel: u16,
        /// What the client is told.
        error: Exception,
        /// Everything that was unsettled on the channel.
        unsettled: Deliveries,
    },
    /// The client closes the connection: clean up, with
    /// [`drain_unsettled`](crate::Connection::drain_unsettled), then answer with
    /// [`close_ok`](crate::Connection::close_ok).
    Close {
        /// The reply code of the client: 200 or 320 as a rule.
        reply_code: u16,
        /// The text of the client.
        reply_text: &'a str,
    },
    /// The client broke a rule and the connection ends: clean up, with
    /// [`drain_unsettled`](crate::Connection::drain_unsettled), and write what is left to write.
    Failed {
        /// What the client is told, if it is told.
        error: Exception,
    },
}

/// What a client does with deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They are processed.
    Ack,
    /// They go back to where they were.
    Requeue,
    /// They are dropped or dead-lettered.
    Discard,
}

/// Credentials of connection.start-ok.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The SASL mechanism.
    pub mechanism: &'a str,
    /// The user of PLAIN and AMQPLAIN, else empty.
    pub user: &'a str,
    /// The password of PLAIN and AMQPLAIN, else empty.
    pub password: &'a [u8],
    /// The response as it came, for other mechanisms.
    pub response: &'a [u8],
}

/// A message that a client publishes.
#[derive(Debug, Clone)]
pub struct Publish<'a> {
    /// The channel.
    pub channel: u16,
    /// It is to be returned if it cannot be routed.
    pub mandatory: bool,
    /// The sequence number to confirm; 0 if the channel is not in confirm mode.
    pub sequence: u64,
    /// It is to be kept until the channel commits.
    pub is_transactional: bool,
    /// The body.
    pub body: Body<'a>,
    pub(crate) envelope: Envelope<'a>,
}

impl Publish<'_> {
    /// The same, on its own.
    pub fn into_owned(self) -> Publish<'static> {
        Publish {
            channel: self.channel,
            mandatory: self.mandatory,
            sequence: self.sequence,
            is_transactional: self.is_transactional,
            body: Body::Owned(self.body.into_bytes()),
            envelope: Envelope::Owned(self.envelope.into_owned()),
        }
    }

    /// Octets of the names, the properties and the body.
    pub(crate) fn len(&self) -> usize {
        let names = self.exchange().len() + self.routing_key().len();
        names + self.properties().as_encoded().len() + self.body.as_slice().len()
    }

    /// The name of the exchange.
    #[inline]
    pub fn exchange(&self) -> &str {
        match &self.envelope {
            Envelope::Borrowed { exchange, .. } => exchange,
            Envelope::Owned(owned) => &owned.exchange,
        }
    }

    /// The routing key.
    #[inline]
    pub fn routing_key(&self) -> &str {
        match &self.envelope {
            Envelope::Borrowed { routing_key, .. } => routing_key,
            Envelope::Owned(owned) => &owned.routing_key,
        }
    }

    /// The properties, checked.
    #[inline]
    pub fn properties(&self) -> Properties<'_> {
        Properties::from_encoded(match &self.envelope {
            Envelope::Borrowed { properties, .. } => properties,
            Envelope::Owned(owned) => &owned.properties,
        })
    }
}

/// The body of a message.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// It lies in the input as one piece.
    Borrowed(&'a [u8]),
    /// It was put together from several frames.
    Owned(Bytes),
}

impl Body<'_> {
    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(octets) => octets,
            Self::Owned(octets) => octets,
        }
    }

    /// The body on its own; copies it if it lies in the input.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Borrowed(octets) => Bytes::copy_from_slice(octets),
            Self::Owned(octets) => octets,
        }
    }
}

/// Where a message goes and its properties: in the input, or kept while the content arrives.
#[derive(Debug, Clone)]
pub(crate) enum Envelope<'a> {
    Borrowed { exchange: &'a str, routing_key: &'a str, properties: &'a [u8] },
    Owned(Box<OwnedEnvelope>),
}

#[derive(Debug, Clone)]
pub(crate) struct OwnedEnvelope {
    pub(crate) exchange: Box<str>,
    pub(crate) routing_key: Box<str>,
    pub(crate) properties: Box<[u8]>,
}

impl<'a> Envelope<'a> {
    #[inline]
    pub(crate) fn with_properties(self, properties: &'a [u8]) -> Self {
        match self {
            Self::Borrowed { exchange, routing_key, .. } => {
                Self::Borrowed { exchange, routing_key, properties }
            }
            Self::Owned(mut owned) => {
                owned.properties = properties.into();
                Self::Owned(owned)
            }
        }
    }

    pub(crate) fn into_owned(self) -> Box<OwnedEnvelope> {
        match self {
            Self::Borrowed { exchange, routing_key, properties } => Box::new(OwnedEnvelope {
                exchange: exchange.into(),
                routing_key: routing_key.into(),
                properties: properties.into(),
            }),
            Self::Owned(owned) => owned,
        }
    }
}
