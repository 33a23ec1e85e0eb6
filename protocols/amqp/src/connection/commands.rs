//! What the broker says besides messages: replies, confirms, closes.

use std::time::Instant;

use super::{Connection, State};
use crate::channel::{Channel, Phase};
use crate::error::{Exception, ReplyCode};
use crate::method::connection::{BLOCKED, CLOSE_OK, UNBLOCKED, put_close};
use crate::method::{MethodId, ServerMethod, basic, channel};
use crate::output::Output;
use crate::unsettled::Deliveries;
use crate::wire::put_short_str;

impl Connection {
    /// Answers a method, or sends basic.cancel. A channel that is not open any more gets nothing.
    pub fn reply(&mut self, channel: u16, method: ServerMethod<'_>) {
        if self.state != State::Running {
            return;
        }
        if channel != 0 && self.channels.find_open(channel).is_none() {
            return;
        }
        let unwanted = matches!(method, ServerMethod::BasicCancel { .. })
            && !self.peer.capabilities.consumer_cancel_notify;
        if !unwanted {
            self.output.method(channel, method.id(), |out| method.put_arguments(out));
        }
    }

    /// Answers channel.open.
    pub fn channel_open_ok(&mut self, channel: u16) {
        if self.state == State::Running && self.channels.find_open(channel).is_some() {
            self.output.method(channel, channel::OPEN_OK, |out| out.extend_from_slice(&[0; 4]));
        }
    }

    /// Answers channel.close: the number is free again.
    pub fn channel_close_ok(&mut self, channel: u16) {
        let Some(closing) = self.channels.find(channel) else { return };
        if self.state != State::Running || closing.phase != Phase::ClosedByClient {
            return;
        }
        tell_confirms(channel, closing, &mut self.output);
        self.channels.remove(channel);
        self.output.method(channel, channel::CLOSE_OK, |_| {});
    }

    /// Answers connection.close.
    pub fn close_ok(&mut self) {
        if self.state == State::ClosedByClient {
            self.flush_confirms();
            self.output.method(0, CLOSE_OK, |_| {});
            self.end();
        }
    }

    /// Confirms one publish, by ack or by nack, in any order. The frame is put together when the
    /// output is taken, so a run of confirms is one frame.
    #[inline]
    pub fn confirm(&mut self, channel: u16, sequence: u64, ok: bool) {
        self.confirm_with(channel, |channel| channel.confirms.settle(sequence, ok));
    }

    /// Confirms every publish up to `sequence` that is not confirmed yet.
    #[inline]
    pub fn confirm_through(&mut self, channel: u16, sequence: u64) {
        self.confirm_with(channel, |channel| channel.confirms.settle_through(sequence));
    }

    /// Closes a channel with an error of `method` and gives back what was unsettled on it. If the
    /// channel is closing already, nothing happens. Codes of the connection level are for
    /// [`connection_error`](Self::connection_error).
    pub fn channel_error(
        &mut self,
        channel: u16,
        code: ReplyCode,
        text: &str,
        method: MethodId,
    ) -> Deliveries {
        self.close_channel(channel, &Exception::new(code, text, method)).unwrap_or_default()
    }

    /// Closes the connection with an error of `method`, or with [`MethodId::NONE`] by an
    /// administrator's will. [`drain_unsettled`](Self::drain_unsettled) gives back the deliveries.
    pub fn connection_error(
        &mut self,
        now: Instant,
        code: ReplyCode,
        text: &str,
        method: MethodId,
    ) {
        match self.state {
            State::Protocol => self.end(),
            State::ClosedByClient | State::ClosedByServer | State::Draining | State::Closed => {}
            _ => self.send_close(now, &Exception::new(code, text, method)),
        }
    }

    /// Tells the client that its publishes are not read for now; see
    /// [`Capabilities::connection_blocked`](super::Capabilities::connection_blocked).
    pub fn blocked(&mut self, reason: &str) {
        if self.state == State::Running && self.peer.capabilities.connection_blocked {
            self.output.method(0, BLOCKED, |out| put_short_str(out, reason));
        }
    }

    /// Tells the client that its publishes are read again.
    pub fn unblocked(&mut self) {
        if self.state == State::Running && self.peer.capabilities.connection_blocked {
            self.output.method(0, UNBLOCKED, |_| {});
        }
    }

    /// Sends channel.close; `None` if the channel is not open.
    pub(super) fn close_channel(
        &mut self,
        number: u16,
        exception: &Exception,
    ) -> Option<Deliveries> {
        if self.state != State::Running {
            return None;
        }
        let channel = self.channels.find_open(number)?;
        tell_confirms(number, channel, &mut self.output);
        let unsettled = channel.take_unsettled();
        *channel = Channel { phase: Phase::ClosedByServer, ..Channel::default() };
        self.output.method(number, channel::CLOSE, |out| put_close(out, exception));
        Some(unsettled)
    }

    #[inline]
    fn confirm_with(&mut self, number: u16, settle: impl FnOnce(&mut Channel)) {
        let Some(channel) = self.channels.find(number) else { return };
        if channel.phase == Phase::ClosedByServer {
            return;
        }
        let was_pending = channel.confirms.is_pending();
        settle(channel);
        if !was_pending && channel.confirms.is_pending() {
            self.confirming.push(number);
        }
    }

    /// Writes the confirms that have come together. Before a close, too: what is confirmed is
    /// confirmed.
    #[inline]
    pub(super) fn flush_confirms(&mut self) {
        if self.confirming.is_empty() {
            return;
        }
        for number in self.confirming.drain(..) {
            if let Some(channel) = self.channels.find(number) {
                tell_confirms(number, channel, &mut self.output);
            }
        }
    }
}

fn tell_confirms(number: u16, channel: &mut Channel, output: &mut Output) {
    channel.confirms.drain(|confirm| {
        let id = if confirm.ok { basic::ACK } else { basic::NACK };
        output.confirm(number, id, confirm.sequence, u8::from(confirm.multiple));
    });
}
