//! Sending messages, and handing over what is to be written.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes};

use super::{Connection, State};
use crate::channel::Channel;
use crate::error::ReplyCode;
use crate::method::basic::{GET_OK, RETURN};
use crate::output::{Content, Deliver, Get};
use crate::unsettled::Delivery;
use crate::wire::put_short_str;

impl Connection {
    /// Sends basic.deliver and returns the delivery tag. `None` if the channel is not open: the
    /// message was not sent and is still the owner's.
    #[inline]
    pub fn deliver(&mut self, channel: u16, deliver: &Deliver<'_>) -> Option<u64> {
        let tag = self.tag(channel, deliver.delivery, deliver.no_ack)?;
        self.output.deliver(channel, tag, deliver);
        Some(tag)
    }

    /// Sends basic.get-ok and returns the delivery tag; `None` if the channel is not open.
    pub fn get_ok(&mut self, channel: u16, get: &Get<'_>) -> Option<u64> {
        let tag = self.tag(channel, get.delivery, get.no_ack)?;
        self.output.method_with_content(channel, GET_OK, &get.content, |out| {
            out.put_u64(tag);
            out.put_u8(u8::from(get.redelivered));
            put_short_str(out, get.content.exchange);
            put_short_str(out, get.content.routing_key);
            out.put_u32(get.message_count);
        });
        Some(tag)
    }

    /// Sends basic.return: a mandatory message comes back, with [`ReplyCode::NoRoute`] as a rule.
    /// The confirm of the message has to come after it.
    pub fn return_(&mut self, channel: u16, code: ReplyCode, content: &Content<'_>) {
        if self.open_channel(channel).is_none() {
            return;
        }
        self.output.method_with_content(channel, RETURN, content, |out| {
            out.put_u16(code.code());
            put_short_str(out, code.name());
            put_short_str(out, content.exchange);
            put_short_str(out, content.routing_key);
        });
    }

    /// Octets that wait to be written, confirms that are still to be put together included.
    #[inline]
    pub fn transmit_len(&self) -> usize {
        self.output.len() + self.confirming.len() * CONFIRM_LEN
    }

    /// Moves everything that waits to be written to the end of `out`. The octets count as sent.
    pub fn poll_transmit(&mut self, out: &mut VecDeque<Bytes>) {
        self.flush_confirms();
        self.timers.note_sent(self.output.len());
        self.output.take(out);
    }

    #[inline]
    fn tag(&mut self, channel: u16, delivery: Delivery, no_ack: bool) -> Option<u64> {
        let unsettled = &mut self.open_channel(channel)?.unsettled;
        Some(if no_ack { unsettled.tag_settled() } else { unsettled.tag(delivery) })
    }

    #[inline]
    fn open_channel(&mut self, number: u16) -> Option<&mut Channel> {
        if self.state != State::Running {
            return None;
        }
        self.channels.find_open(number)
    }
}

/// A frame of basic.ack.
const CONFIRM_LEN: usize = 21;
