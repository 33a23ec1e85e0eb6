//! What can go wrong, by whose fault: decoding errors of the peer and the exceptions of AMQP.
//!
//! An [`Exception`] is what goes out as channel.close or connection.close (AMQP 0-9-1 §1.1): a
//! reply code, a text and the method that failed. An [`Error`] is a field that cannot be decoded;
//! it becomes an exception with [`ReplyCode::SyntaxError`].

use std::fmt;

use crate::method::MethodId;
use crate::wire::SHORT_STR_MAX;

/// A field, table, property list or method that cannot be decoded. The fault is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field needs more octets than its frame or table has.
    #[error("field is cut short")]
    Truncated,
    /// Octets are left over behind the last field.
    #[error("{0} octets follow the last field")]
    Trailing(usize),
    /// A short string is not UTF-8.
    #[error("short string is not UTF-8")]
    NotUtf8,
    /// A field value has a type tag that nobody defined.
    #[error("unknown field type {0}")]
    UnknownFieldType(u8),
    /// Tables and arrays are nested deeper than the limit.
    #[error("tables are nested deeper than {0} levels")]
    TooDeep(usize),
    /// A table has more entries, with those of nested ones, than the limit.
    #[error("table has more than {0} entries")]
    TooManyEntries(usize),
    /// The property flags announce properties that do not exist.
    #[error("property flags {0:#06x} are not defined")]
    PropertyFlags(u16),
}

impl Error {
    /// The exception of a frame that cannot be decoded: connection level, 502.
    pub fn exception(self, method: MethodId) -> Exception {
        let text = format!("cannot decode {method}: {self}");
        Exception { limit: self.limit(), ..Exception::new(ReplyCode::SyntaxError, text, method) }
    }

    fn limit(self) -> Option<Limit> {
        match self {
            Self::TooDeep(_) => Some(Limit::TableDepth),
            Self::TooManyEntries(_) => Some(Limit::TableEntries),
            _ => None,
        }
    }
}

/// A limit of the [`Config`](crate::Config) that a peer has gone beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `frame_max`, or what was negotiated.
    FrameSize,
    /// [`channel_max`](crate::Config::channel_max), or what was negotiated.
    Channels,
    /// [`message_size_max`](crate::Config::message_size_max).
    MessageSize,
    /// [`depth_max`](crate::TableLimits::depth_max).
    TableDepth,
    /// [`entries_max`](crate::TableLimits::entries_max).
    TableEntries,
    /// [`len_max`](crate::TransactionLimits::len_max).
    TransactionLen,
    /// [`bytes_max`](crate::TransactionLimits::bytes_max).
    TransactionSize,
}

/// The reply codes of AMQP 0-9-1 (§1.1), with the names that RabbitMQ puts before its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.name())]
#[repr(u16)]
pub enum ReplyCode {
    /// 200, in the close of an orderly shutdown.
    ReplySuccess = 200,
    /// 311, channel.
    ContentTooLarge = 311,
    /// 312, only inside basic.return.
    NoRoute = 312,
    /// 313, only inside basic.return.
    NoConsumers = 313,
    /// 320, connection.
    ConnectionForced = 320,
    /// 402, connection.
    InvalidPath = 402,
    /// 403, channel; a refused login is connection level.
    AccessRefused = 403,
    /// 404, channel.
    NotFound = 404,
    /// 405, channel.
    ResourceLocked = 405,
    /// 406, channel.
    PreconditionFailed = 406,
    /// 501, connection.
    FrameError = 501,
    /// 502, connection.
    SyntaxError = 502,
    /// 503, connection.
    CommandInvalid = 503,
    /// 504, connection.
    ChannelError = 504,
    /// 505, connection.
    UnexpectedFrame = 505,
    /// 506, connection.
    ResourceError = 506,
    /// 530, connection.
    NotAllowed = 530,
    /// 540, connection.
    NotImplemented = 540,
    /// 541, connection.
    InternalError = 541,
}

impl ReplyCode {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The name that begins a reply text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReplySuccess => "REPLY_SUCCESS",
            Self::ContentTooLarge => "CONTENT_TOO_LARGE",
            Self::NoRoute => "NO_ROUTE",
            Self::NoConsumers => "NO_CONSUMERS",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::InvalidPath => "INVALID_PATH",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether the error ends the whole connection, not only a channel.
    pub const fn is_connection_level(self) -> bool {
        matches!(self.code(), 320 | 402 | 501..=506 | 530 | 540 | 541)
    }
}

/// The content of a channel.close or connection.close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The reply code.
    pub code: ReplyCode,
    /// The explanation, without the name of the code.
    pub text: String,
    /// The method that failed, or [`MethodId::NONE`].
    pub method: MethodId,
    /// The limit that was in the way, if it was one.
    pub limit: Option<Limit>,
}

impl Exception {
    /// An exception of `code`, caused by `method`.
    pub fn new(code: ReplyCode, text: impl Into<String>, method: MethodId) -> Self {
        Self { code, text: text.into(), method, limit: None }
    }

    /// The same, because of a limit.
    pub(crate) fn beyond(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The text as it goes out; one that a short string cannot hold ends in three dots.
    pub(crate) fn reply_text(&self) -> String {
        const DOTS: &str = "...";
        let mut text = self.to_string();
        if text.len() > SHORT_STR_MAX {
            text.truncate(text.floor_char_boundary(SHORT_STR_MAX - DOTS.len()));
            text.push_str(DOTS);
        }
        text
    }
}

/// The reply text as it goes out: `NOT_FOUND - no queue 'q' in vhost '/'`.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.code.name(), self.text)
    }
}

impl std::error::Error for Exception {}

/// What the handling of one frame failed with. Boxed, since it is rare and large.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One channel is closed.
    Channel(Exception),
    /// The connection is closed, after the peer's close-ok.
    Connection(Exception),
}

impl Failure {
    pub(crate) fn connection(
        code: ReplyCode,
        text: impl Into<String>,
        method: MethodId,
    ) -> Box<Self> {
        Box::new(Self::Connection(Exception::new(code, text, method)))
    }

    pub(crate) fn channel(code: ReplyCode, text: impl Into<String>, method: MethodId) -> Box<Self> {
        Box::new(Self::Channel(Exception::new(code, text, method)))
    }

    pub(crate) fn decode(error: Error, method: MethodId) -> Box<Self> {
        Box::new(Self::Connection(error.exception(method)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_text_begins_with_the_name_of_its_code() {
        let text = "no queue 'q1' in vhost '/'";
        let error = Exception::new(ReplyCode::NotFound, text, MethodId::NONE);
        assert_eq!(error.to_string(), "NOT_FOUND - no queue 'q1' in vhost '/'");
    }

    #[test]
    fn a_reply_text_that_is_too_long_ends_in_dots() {
        let text =
            |len| Exception::new(ReplyCode::NotFound, "é".repeat(len), MethodId::NONE).reply_text();
        assert_eq!(text(121).len(), "NOT_FOUND - ".len() + 242);
        let long = text(122);
        assert!(long.ends_with("é...") && long.len() <= 255, "{long}");
    }

    #[test]
    fn codes_know_their_scope() {
        assert!(ReplyCode::NotAllowed.is_connection_level());
        assert!(!ReplyCode::PreconditionFailed.is_connection_level());
        assert_eq!(ReplyCode::FrameError.code(), 501);
    }
}
