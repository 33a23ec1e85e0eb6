//! Reading frames: which one may come when, and what it turns into.

use std::time::Instant;

use super::{Connection, State};
use crate::assembly::{Assembled, Following};
use crate::channel::{Mode, Phase};
use crate::error::{Exception, Failure, Limit, ReplyCode};
use crate::event::{Event, Outcome, Publish};
use crate::frame::{self, Frame, OVERHEAD, Unframed};
use crate::method::basic::{self, Settle};
use crate::method::connection::{CLOSE, CLOSE_OK, Close, UPDATE_SECRET};
use crate::method::{Method, MethodId, channel, confirm, tx};
use crate::transaction::TooLarge;
use crate::wire::Reader;

pub(super) type Handled<'a> = Result<Option<Event<'a>>, Box<Failure>>;

impl Connection {
    /// Reads whole frames off the front of `input` until they make an event. `None` means that
    /// more octets are needed, [`needed_input`](Self::needed_input) in all, or that the owner has
    /// something to answer first; a frame that is not whole stays in `input`.
    ///
    /// Whatever the input is split into, the events are the same.
    #[inline]
    pub fn poll_event<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Option<Event<'a>> {
        if input.len() != self.leftover {
            self.timers.received = true;
        }
        let event = self.next_event(now, input);
        self.leftover = input.len();
        event
    }

    #[inline]
    fn next_event<'a>(&mut self, now: Instant, input: &mut &'a [u8]) -> Option<Event<'a>> {
        loop {
            if self.state != State::Running && !self.is_reading(input) {
                return None;
            }
            let frame = match Frame::split(input, self.payload_max()) {
                Ok((frame, rest)) => {
                    *input = rest;
                    frame
                }
                Err(Unframed::Partial(len)) => {
                    self.needed_input = len;
                    return None;
                }
                Err(Unframed::Lost(exception)) => {
                    *input = &[];
                    return self.lost_framing(now, exception);
                }
            };
            match self.handle_frame(now, frame, input) {
                Ok(None) => {}
                Ok(event) => return event,
                Err(failure) => match self.handle_failure(now, frame.channel, *failure) {
                    None => {}
                    event => return event,
                },
            }
        }
    }

    /// A method of an earlier [`Event::Method`], for an owner who could not deal with it at once. `None` if
    /// it is none.
    pub fn parse_again<'a>(&self, id: MethodId, arguments: &'a [u8]) -> Option<Method<'a>> {
        Method::parse(id, arguments, self.config.tables).ok().flatten()
    }

    /// Whether frames are to be read in a state other than running.
    fn is_reading(&mut self, input: &mut &[u8]) -> bool {
        match self.state {
            State::Protocol => self.handle_protocol_header(input),
            State::Login | State::Open => false,
            State::ClosedByClient | State::Draining | State::Closed => {
                *input = &[];
                false
            }
            State::Starting | State::Tuning | State::Opening => true,
            State::Running | State::ClosedByServer => true,
        }
    }

    #[inline]
    fn handle_frame<'a>(
        &mut self,
        now: Instant,
        frame: Frame<'a>,
        input: &mut &'a [u8],
    ) -> Handled<'a> {
        if frame.channel == 0 {
            return self.handle_connection_frame(now, frame);
        }
        match (self.state, frame.kind) {
            (State::Running, frame::METHOD) => self.handle_method(frame, input),
            (State::Running, frame::HEADER | frame::BODY) => self.handle_content(frame, input),
            (State::ClosedByServer, _) => Ok(None),
            _ => Err(misplaced(&frame)),
        }
    }

    fn handle_connection_frame<'a>(&mut self, now: Instant, frame: Frame<'a>) -> Handled<'a> {
        match (self.state, frame.kind) {
            (_, frame::METHOD) => {}
            (_, frame::HEARTBEAT) | (State::ClosedByServer, _) => return Ok(None),
            _ => return Err(misplaced(&frame)),
        }
        let (id, arguments) = MethodId::split(frame.payload)
            .map_err(|error| Failure::decode(error, MethodId::NONE))?;
        match (self.state, id) {
            (State::ClosedByServer, CLOSE) => {
                self.output.method(0, CLOSE_OK, |_| {});
                self.end();
                Ok(None)
            }
            (State::ClosedByServer, CLOSE_OK) => {
                self.end();
                Ok(None)
            }
            (State::ClosedByServer, _) => Ok(None),
            (_, CLOSE) => {
                let close = Close::parse(arguments).map_err(|error| Failure::decode(error, id))?;
                self.state = State::ClosedByClient;
                self.timers.stop();
                let Close { reply_code, reply_text } = close;
                Ok(Some(Event::Close { reply_code, reply_text }))
            }
            (State::Running, UPDATE_SECRET) => self.parse_method(0, id, arguments),
            _ => self.handle_handshake(now, id, arguments),
        }
    }

    #[inline]
    fn handle_method<'a>(&mut self, frame: Frame<'a>, input: &mut &'a [u8]) -> Handled<'a> {
        let (id, arguments) = MethodId::split(frame.payload)
            .map_err(|error| Failure::decode(error, MethodId::NONE))?;
        let number = frame.channel;
        let limits = self.limits();
        let Some(channel) = self.channels.find(number) else {
            return self.handle_unopened(number, id);
        };
        if channel.phase != Phase::Open {
            self.handle_closing(number, id);
            return Ok(None);
        }
        channel.assembly.check_method()?;
        match id {
            basic::PUBLISH => {
                let mut following = Following { channel: number, input, limits };
                let assembled = channel.assembly.start(arguments, &mut following);
                self.assembled(number, assembled)
            }
            basic::ACK | basic::NACK | basic::REJECT => self.handle_settle(number, id, arguments),
            _ => self.handle_other(number, id, arguments),
        }
    }

    fn handle_content<'a>(&mut self, frame: Frame<'a>, input: &mut &'a [u8]) -> Handled<'a> {
        let number = frame.channel;
        let limits = self.limits();
        let Some(channel) = self.channels.find(number) else {
            let text = "expected method frame, got non method frame instead";
            return Err(Failure::connection(ReplyCode::UnexpectedFrame, text, MethodId::NONE));
        };
        if channel.phase != Phase::Open {
            return Ok(None);
        }
        let mut following = Following { channel: number, input, limits };
        let assembled = match frame.kind {
            frame::HEADER => channel.assembly.header(frame.payload, &mut following),
            _ => channel.assembly.body(frame.payload),
        };
        self.assembled(number, assembled)
    }

    #[inline]
    fn assembled<'a>(&mut self, number: u16, assembled: Assembled<'a>) -> Handled<'a> {
        let Some((draft, body)) = assembled? else { return Ok(None) };
        let mut publish = Publish {
            channel: number,
            mandatory: draft.mandatory,
            sequence: 0,
            is_transactional: false,
            body,
            envelope: draft.envelope,
        };
        match self.channels.find(number).map(|channel| (&mut channel.mode, &mut channel.confirms)) {
            Some((Mode::Confirm, confirms)) => publish.sequence = confirms.next(),
            Some((Mode::Transactional(transaction), _)) => {
                transaction
                    .publish(&publish, self.config.transactions)
                    .map_err(|error| too_large(error, basic::PUBLISH))?;
                publish.is_transactional = true;
            }
            Some((Mode::Plain, _)) | None => {}
        }
        Ok(Some(Event::Publish(publish)))
    }

    #[inline]
    fn handle_settle<'a>(&mut self, number: u16, id: MethodId, arguments: &[u8]) -> Handled<'a> {
        let settle = Settle::parse(id, arguments).map_err(|error| Failure::decode(error, id))?;
        let Some(channel) = self.channels.find(number) else { return Ok(None) };
        let tag = settle.delivery_tag;
        let outcome = match (id, settle.requeue) {
            (basic::ACK, _) => Outcome::Ack,
            (_, true) => Outcome::Requeue,
            (_, false) => Outcome::Discard,
        };
        if matches!(channel.mode, Mode::Transactional(_)) {
            return self.handle_held_settle(number, id, (outcome, tag, settle.multiple));
        }
        let deliveries = if settle.multiple {
            channel.unsettled.settle_through(tag)
        } else {
            channel.unsettled.settle(tag).map(|delivery| smallvec::smallvec![delivery])
        };
        let deliveries = deliveries.ok_or_else(|| unknown_tag(tag, id))?;
        Ok(Some(Event::Settle { channel: number, outcome, deliveries }))
    }

    fn handle_other<'a>(&mut self, number: u16, id: MethodId, arguments: &'a [u8]) -> Handled<'a> {
        let decode = |error| Failure::decode(error, id);
        match id {
            channel::OPEN => {
                let text = "second 'channel.open' seen";
                Err(Failure::connection(ReplyCode::ChannelError, text, id))
            }
            channel::CLOSE => {
                Close::parse(arguments).map_err(decode)?;
                Ok(self.handle_channel_close(number))
            }
            channel::FLOW => {
                if !channel::parse_flow(arguments).map_err(decode)? {
                    return Err(not_implemented("active=false", id));
                }
                self.output.method(number, channel::FLOW_OK, |out| out.extend_from_slice(&[1]));
                Ok(None)
            }
            channel::ACCESS_REQUEST => {
                let ticket = [0, 1];
                let reply = channel::ACCESS_REQUEST_OK;
                self.output.method(number, reply, |out| out.extend_from_slice(&ticket));
                Ok(None)
            }
            basic::RECOVER | basic::RECOVER_ASYNC => {
                if !basic::parse_recover(arguments).map_err(decode)? {
                    return Err(not_implemented("requeue=false", id));
                }
                Ok(self.handle_recover(number, id == basic::RECOVER_ASYNC))
            }
            confirm::SELECT => {
                let no_wait = confirm::parse_select(arguments).map_err(decode)?;
                self.handle_confirm_select(number, no_wait)
            }
            tx::SELECT | tx::COMMIT | tx::ROLLBACK => {
                Reader::new(arguments).finish().map_err(decode)?;
                self.handle_tx(number, id)
            }
            channel::CLOSE_OK | channel::FLOW_OK | basic::CANCEL_OK => Ok(None),
            UPDATE_SECRET => Err(unimplemented(id)),
            _ => self.parse_method(number, id, arguments),
        }
    }

    fn parse_method<'a>(&self, number: u16, id: MethodId, arguments: &'a [u8]) -> Handled<'a> {
        match Method::parse(id, arguments, self.config.tables) {
            Ok(Some(Method::BasicQos(qos))) if qos.prefetch_size != 0 => {
                Err(not_implemented(&format!("prefetch_size!=0 ({})", qos.prefetch_size), id))
            }
            Ok(Some(method)) => Ok(Some(Event::Method { channel: number, method, arguments })),
            Ok(None) => Err(unimplemented(id)),
            Err(error) => Err(Failure::decode(error, id)),
        }
    }

    fn handle_unopened<'a>(&mut self, number: u16, id: MethodId) -> Handled<'a> {
        match id {
            channel::OPEN => {
                let max = self.channel_max;
                if max != 0 && (number > max || self.channels.len() >= usize::from(max)) {
                    let text = format!(
                        "number of channels opened ({max}) has reached \
                         the negotiated channel_max ({max})"
                    );
                    let exception = Exception::new(ReplyCode::NotAllowed, text, id);
                    return Err(Box::new(Failure::Connection(exception.beyond(Limit::Channels))));
                }
                self.channels.insert(number);
                Ok(Some(Event::ChannelOpen { channel: number }))
            }
            // Late answers to a close of ours.
            channel::CLOSE_OK => Ok(None),
            _ => {
                let text = "expected 'channel.open'";
                Err(Failure::connection(ReplyCode::ChannelError, text, id))
            }
        }
    }

    /// Frames of a channel that is closing are dropped, but for the ends of the two closes.
    fn handle_closing(&mut self, number: u16, id: MethodId) {
        let by_server = self
            .channels
            .find(number)
            .is_some_and(|channel| channel.phase == Phase::ClosedByServer);
        match id {
            channel::CLOSE_OK if by_server => self.channels.remove(number),
            channel::CLOSE if by_server => self.output.method(number, channel::CLOSE_OK, |_| {}),
            _ => {}
        }
    }

    fn handle_channel_close<'a>(&mut self, number: u16) -> Option<Event<'a>> {
        let channel = self.channels.find(number)?;
        channel.phase = Phase::ClosedByClient;
        let unsettled = channel.take_unsettled();
        Some(Event::ChannelClose { channel: number, unsettled })
    }

    fn handle_recover<'a>(&mut self, number: u16, no_wait: bool) -> Option<Event<'a>> {
        let deliveries = self.channels.find(number)?.unsettled.take_all();
        Some(Event::Recover { channel: number, deliveries, no_wait })
    }

    fn handle_confirm_select<'a>(&mut self, number: u16, no_wait: bool) -> Handled<'a> {
        let Some(channel) = self.channels.find(number) else { return Ok(None) };
        if matches!(channel.mode, Mode::Transactional(_)) {
            let text = "cannot switch from tx to confirm mode";
            return Err(Failure::channel(ReplyCode::PreconditionFailed, text, confirm::SELECT));
        }
        channel.mode = Mode::Confirm;
        if !no_wait {
            self.output.method(number, confirm::SELECT_OK, |_| {});
        }
        Ok(None)
    }

    fn handle_failure<'a>(
        &mut self,
        now: Instant,
        number: u16,
        failure: Failure,
    ) -> Option<Event<'a>> {
        match failure {
            Failure::Connection(exception) => {
                self.send_close(now, &exception);
                Some(Event::Failed { error: exception })
            }
            Failure::Channel(error) => {
                let unsettled = self.close_channel(number, &error)?;
                Some(Event::ChannelFailed { channel: number, error, unsettled })
            }
        }
    }

    fn lost_framing<'a>(&mut self, now: Instant, exception: Exception) -> Option<Event<'a>> {
        if self.state == State::ClosedByServer {
            self.end();
            return None;
        }
        self.send_last_close(now, &exception);
        self.needed_input = OVERHEAD;
        Some(Event::Failed { error: exception })
    }
}

fn misplaced(frame: &Frame<'_>) -> Box<Failure> {
    let known =
        matches!(frame.kind, frame::METHOD | frame::HEADER | frame::BODY | frame::HEARTBEAT);
    let exception = if known { frame.unexpected() } else { frame.unknown() };
    Box::new(Failure::Connection(exception))
}

pub(super) fn unknown_tag(tag: u64, id: MethodId) -> Box<Failure> {
    Failure::channel(ReplyCode::PreconditionFailed, format!("unknown delivery tag {tag}"), id)
}

pub(super) fn too_large(error: TooLarge, id: MethodId) -> Box<Failure> {
    let exception = Exception::new(ReplyCode::PreconditionFailed, error.text, id);
    Box::new(Failure::Channel(exception.beyond(error.limit)))
}

fn unimplemented(id: MethodId) -> Box<Failure> {
    Failure::connection(ReplyCode::CommandInvalid, "unimplemented method", id)
}

fn not_implemented(text: &str, id: MethodId) -> Box<Failure> {
    Failure::connection(ReplyCode::NotImplemented, text, id)
}
