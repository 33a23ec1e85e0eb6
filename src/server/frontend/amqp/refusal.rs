//! What a client asked for and does not get, with the code that it gets instead.

use leveret_amqp::ReplyCode;
use leveret_core::{TopologyError, TopologyErrorKind};

use crate::server::control::DeleteError;
use crate::server::limits::Limit;

/// A reply code and the explanation behind it. The code decides whether the channel or the
/// connection is closed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: ReplyCode,
    pub text: String,
}

impl Refusal {
    /// Closes the channel with 406.
    pub fn precondition(text: impl Into<String>) -> Self {
        Refusal { code: ReplyCode::PreconditionFailed, text: text.into() }
    }

    /// Closes the connection, by a code of that level.
    pub fn connection(code: ReplyCode, text: impl Into<String>) -> Self {
        Refusal { code, text: text.into() }
    }
}

impl From<TopologyError> for Refusal {
    fn from(error: TopologyError) -> Self {
        let code = match error.kind() {
            TopologyErrorKind::NotFound => ReplyCode::NotFound,
            TopologyErrorKind::AccessRefused => ReplyCode::AccessRefused,
            TopologyErrorKind::PreconditionFailed => ReplyCode::PreconditionFailed,
            TopologyErrorKind::ResourceLocked => ReplyCode::ResourceLocked,
            TopologyErrorKind::NotAllowed => ReplyCode::NotAllowed,
        };
        Refusal { code, text: error.to_string() }
    }
}

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Topology(error) => error.into(),
            other => Refusal::precondition(other.to_string()),
        }
    }
}

/// What a limit of the protocol is called.
pub(super) fn limit_named(limit: leveret_amqp::Limit) -> Limit {
    match limit {
        leveret_amqp::Limit::FrameSize => Limit::FrameSize,
        leveret_amqp::Limit::Channels => Limit::ChannelsOfConnection,
        leveret_amqp::Limit::MessageSize => Limit::MessageSize,
        leveret_amqp::Limit::TableDepth => Limit::TableDepth,
        leveret_amqp::Limit::TableEntries => Limit::TableEntries,
        leveret_amqp::Limit::TransactionLen => Limit::TransactionLen,
        leveret_amqp::Limit::TransactionSize => Limit::TransactionSize,
    }
}
