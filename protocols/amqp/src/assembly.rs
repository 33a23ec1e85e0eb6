//! Putting a publish together: method, content header, body frames (AMQP 0-9-1 §4.2.6).
//!
//! As a rule all of them lie behind each other in the input. They are taken at once then, and
//! nothing is copied. Else the method and the header wait in owned form. A body grows as it
//! arrives and never past its announced size: nothing is allocated on a client's word.

use crate::error::{Exception, Failure, Limit, ReplyCode};
use crate::event::{Body, Envelope, OwnedEnvelope};
use crate::frame::{self, Frame};
use crate::method::{MethodId, basic};
use crate::properties::Properties;
use crate::table::TableLimits;
use crate::wire::Reader;

/// What the channel is waiting for.
#[derive(Debug, Default)]
pub(crate) enum Assembly {
    #[default]
    Method,
    Header(Draft<'static>),
    Body(Box<Partial>),
}

/// A publish without its body.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) mandatory: bool,
    pub(crate) envelope: Envelope<'a>,
}

impl Draft<'_> {
    fn into_owned(self) -> Draft<'static> {
        let owned: Box<OwnedEnvelope> = self.envelope.into_owned();
        Draft { mandatory: self.mandatory, envelope: Envelope::Owned(owned) }
    }
}

/// A publish whose body is arriving.
#[derive(Debug)]
pub(crate) struct Partial {
    draft: Draft<'static>,
    body: Vec<u8>,
    /// Octets that are still to come.
    remaining: usize,
}

/// The input behind a frame, where the rest of a content is likely to lie.
pub(crate) struct Following<'s, 'a> {
    pub(crate) channel: u16,
    pub(crate) input: &'s mut &'a [u8],
    pub(crate) limits: Limits,
}

impl<'a> Following<'_, 'a> {
    /// Takes the payload of the next frame, if it is whole, of this channel and as wanted.
    #[inline]
    fn take_if(&mut self, kind: u8, wanted: impl FnOnce(&[u8]) -> bool) -> Option<&'a [u8]> {
        let (frame, rest) = Frame::split(self.input, self.limits.payload_max).ok()?;
        let fits = frame.kind == kind && frame.channel == self.channel && wanted(frame.payload);
        fits.then(|| {
            *self.input = rest;
            frame.payload
        })
    }
}

/// What every frame is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) payload_max: usize,
    pub(crate) message_size_max: u64,
    pub(crate) tables: TableLimits,
}

/// A whole publish, or `None` while parts of it are missing.
pub(crate) type Assembled<'a> = Result<Option<(Draft<'a>, Body<'a>)>, Box<Failure>>;

impl Assembly {
    /// Starts with basic.publish and takes as much of the content as lies right behind it.
    #[inline]
    pub(crate) fn start<'a>(
        &mut self,
        arguments: &'a [u8],
        following: &mut Following<'_, 'a>,
    ) -> Assembled<'a> {
        let publish = basic::Publish::parse(arguments)
            .map_err(|error| Failure::decode(error, basic::PUBLISH))?;
        if publish.immediate {
            return Err(failed(ReplyCode::NotImplemented, "immediate=true"));
        }
        let basic::Publish { exchange, routing_key, mandatory, .. } = publish;
        let envelope = Envelope::Borrowed { exchange, routing_key, properties: &[] };
        let draft = Draft { mandatory, envelope };
        match following.take_if(frame::HEADER, |_| true) {
            Some(payload) => self.continue_with(draft, payload, following),
            None => {
                *self = Self::Header(draft.into_owned());
                Ok(None)
            }
        }
    }

    /// Goes on with a content header frame.
    pub(crate) fn header<'a>(
        &mut self,
        payload: &'a [u8],
        following: &mut Following<'_, 'a>,
    ) -> Assembled<'a> {
        match std::mem::take(self) {
            Self::Header(draft) => self.continue_with(draft, payload, following),
            Self::Method => Err(no_method()),
            Self::Body(_) => Err(no_body()),
        }
    }

    /// Goes on with a content body frame.
    pub(crate) fn body<'a>(&mut self, payload: &[u8]) -> Assembled<'a> {
        match self {
            Self::Method => Err(no_method()),
            Self::Header(_) => Err(no_header()),
            Self::Body(partial) => {
                partial.push(payload)?;
                Ok(self.finished())
            }
        }
    }

    /// The error of a method frame, if content is due.
    #[inline]
    pub(crate) fn check_method(&self) -> Result<(), Box<Failure>> {
        match self {
            Self::Method => Ok(()),
            Self::Header(_) => Err(no_header()),
            Self::Body(_) => Err(no_body()),
        }
    }

    #[inline]
    fn continue_with<'a>(
        &mut self,
        draft: Draft<'a>,
        payload: &'a [u8],
        following: &mut Following<'_, 'a>,
    ) -> Assembled<'a> {
        let (properties, body_size) = parse_header(payload, &following.limits)?;
        let Draft { mandatory, envelope } = draft;
        let draft = Draft { mandatory, envelope: envelope.with_properties(properties) };
        if body_size == 0 {
            return Ok(Some((draft, Body::Borrowed(&[]))));
        }
        if let Some(body) = following.take_if(frame::BODY, |body| body.len() == body_size) {
            return Ok(Some((draft, Body::Borrowed(body))));
        }
        let draft = draft.into_owned();
        *self = Self::Body(Box::new(Partial { draft, body: Vec::new(), remaining: body_size }));
        Ok(None)
    }

    fn finished<'a>(&mut self) -> Option<(Draft<'a>, Body<'a>)> {
        if !matches!(self, Self::Body(partial) if partial.remaining == 0) {
            return None;
        }
        match std::mem::take(self) {
            Self::Body(partial) => Some((partial.draft, Body::Owned(partial.body.into()))),
            Self::Method | Self::Header(_) => None,
        }
    }
}

impl Partial {
    fn push(&mut self, payload: &[u8]) -> Result<(), Box<Failure>> {
        let Some(remaining) = self.remaining.checked_sub(payload.len()) else {
            let text = "content body frame exceeds remaining content size";
            return Err(failed(ReplyCode::FrameError, text));
        };
        if self.body.capacity() - self.body.len() < payload.len() {
            // Twice what is there, but no more than was announced.
            let more = payload.len().max(self.body.len()).min(self.remaining);
            self.body.reserve_exact(more);
        }
        self.body.extend_from_slice(payload);
        self.remaining = remaining;
        Ok(())
    }
}

/// The properties and the body size: class(2) weight(2) body-size(8) properties.
#[inline]
fn parse_header<'a>(payload: &'a [u8], limits: &Limits) -> Result<(&'a [u8], usize), Box<Failure>> {
    let decode = |error| Failure::decode(error, basic::PUBLISH);
    let mut fields = Reader::new(payload);
    let class = fields.short().map_err(decode)?;
    if class != BASIC {
        let text =
            format!("expected content header for class 60, got one for class {class} instead");
        return Err(failed(ReplyCode::UnexpectedFrame, text));
    }
    fields.short().map_err(decode)?; // weight
    let body_size = fields.long_long().map_err(decode)?;
    let properties = Properties::parse(fields.rest(), limits.tables).map_err(decode)?;
    check_size(body_size, limits.message_size_max)?;
    Ok((properties.as_encoded(), body_size as usize))
}

#[inline]
fn check_size(size: u64, configured: u64) -> Result<(), Box<Failure>> {
    if size <= configured.min(BODY_SIZE_MAX) {
        return Ok(());
    }
    if size > BODY_SIZE_MAX {
        let text = format!("content body size {size} exceeds maximum allowed size {BODY_SIZE_MAX}");
        let exception = Exception::new(ReplyCode::FrameError, text, basic::PUBLISH);
        return Err(Box::new(Failure::Connection(exception.beyond(Limit::MessageSize))));
    }
    let text = format!("message size {size} is larger than configured max size {configured}");
    let exception = Exception::new(ReplyCode::PreconditionFailed, text, basic::PUBLISH);
    Err(Box::new(Failure::Channel(exception.beyond(Limit::MessageSize))))
}

fn no_method() -> Box<Failure> {
    let text = "expected method frame, got non method frame instead";
    Failure::connection(ReplyCode::UnexpectedFrame, text, MethodId::NONE)
}

fn no_header() -> Box<Failure> {
    let text = "expected content header for class 60, got non content header frame instead";
    failed(ReplyCode::UnexpectedFrame, text)
}

fn no_body() -> Box<Failure> {
    let text = "expected content body, got non content body frame instead";
    failed(ReplyCode::UnexpectedFrame, text)
}

fn failed(code: ReplyCode, text: impl Into<String>) -> Box<Failure> {
    Box::new(Failure::Connection(Exception::new(code, text, basic::PUBLISH)))
}

const BASIC: u16 = 60;
/// RabbitMQ's hard top: 512 MiB.
const BODY_SIZE_MAX: u64 = 512 << 20;
