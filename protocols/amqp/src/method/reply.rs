//! What the broker answers with: the server's methods that carry no content.

use bytes::BufMut;

use super::{MethodId, basic, connection, exchange, queue, tx};
use crate::wire::put_short_str;

/// A method of the server, for [`Connection::reply`](crate::Connection::reply).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerMethod<'a> {
    /// connection.update-secret-ok, on channel 0
    UpdateSecretOk,
    /// exchange.declare-ok
    ExchangeDeclareOk,
    /// exchange.delete-ok
    ExchangeDeleteOk,
    /// exchange.bind-ok
    ExchangeBindOk,
    /// exchange.unbind-ok
    ExchangeUnbindOk,
    /// queue.declare-ok
    QueueDeclareOk {
        /// The name, also when the server chose it.
        queue: &'a str,
        /// Messages that are ready.
        message_count: u32,
        /// Consumers.
        consumer_count: u32,
    },
    /// queue.bind-ok
    QueueBindOk,
    /// queue.purge-ok
    QueuePurgeOk {
        /// Messages that were ready.
        message_count: u32,
    },
    /// queue.delete-ok
    QueueDeleteOk {
        /// Messages that were ready.
        message_count: u32,
    },
    /// queue.unbind-ok
    QueueUnbindOk,
    /// basic.qos-ok
    BasicQosOk,
    /// basic.consume-ok
    BasicConsumeOk {
        /// The name, also when the server chose it.
        consumer_tag: &'a str,
    },
    /// basic.cancel-ok
    BasicCancelOk {
        /// The name of the consumer.
        consumer_tag: &'a str,
    },
    /// basic.cancel by the server; clients that do not announce `consumer_cancel_notify` are
    /// spared it
    BasicCancel {
        /// The name of the consumer.
        consumer_tag: &'a str,
    },
    /// basic.get-empty
    BasicGetEmpty,
    /// basic.recover-ok
    BasicRecoverOk,
    /// tx.commit-ok
    TxCommitOk,
    /// tx.rollback-ok
    TxRollbackOk,
}

impl ServerMethod<'_> {
    /// Class and method number.
    pub const fn id(&self) -> MethodId {
        match self {
            Self::UpdateSecretOk => connection::UPDATE_SECRET_OK,
            Self::ExchangeDeclareOk => exchange::DECLARE_OK,
            Self::ExchangeDeleteOk => exchange::DELETE_OK,
            Self::ExchangeBindOk => exchange::BIND_OK,
            Self::ExchangeUnbindOk => exchange::UNBIND_OK,
            Self::QueueDeclareOk { .. } => queue::DECLARE_OK,
            Self::QueueBindOk => queue::BIND_OK,
            Self::QueuePurgeOk { .. } => queue::PURGE_OK,
            Self::QueueDeleteOk { .. } => queue::DELETE_OK,
            Self::QueueUnbindOk => queue::UNBIND_OK,
            Self::BasicQosOk => basic::QOS_OK,
            Self::BasicConsumeOk { .. } => basic::CONSUME_OK,
            Self::BasicCancelOk { .. } => basic::CANCEL_OK,
            Self::BasicCancel { .. } => basic::CANCEL,
            Self::BasicGetEmpty => basic::GET_EMPTY,
            Self::BasicRecoverOk => basic::RECOVER_OK,
            Self::TxCommitOk => tx::COMMIT_OK,
            Self::TxRollbackOk => tx::ROLLBACK_OK,
        }
    }

    pub(crate) fn put_arguments(&self, out: &mut impl BufMut) {
        match self {
            Self::QueueDeclareOk { queue, message_count, consumer_count } => {
                put_short_str(out, queue);
                out.put_u32(*message_count);
                out.put_u32(*consumer_count);
            }
            Self::QueuePurgeOk { message_count } | Self::QueueDeleteOk { message_count } => {
                out.put_u32(*message_count);
            }
            Self::BasicConsumeOk { consumer_tag } | Self::BasicCancelOk { consumer_tag } => {
                put_short_str(out, consumer_tag);
            }
            Self::BasicCancel { consumer_tag } => {
                put_short_str(out, consumer_tag);
                out.put_u8(1); // no-wait
            }
            Self::BasicGetEmpty => put_short_str(out, ""),
            _ => {}
        }
    }
}
