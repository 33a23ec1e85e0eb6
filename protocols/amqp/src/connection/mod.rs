//! A server's side of one connection.
//!
//! ```text
//! Protocol ─header→ Starting ─start-ok→ Login ─login_ok→ Tuning ─tune-ok→ Opening ─open→ Open
//!                                                                        Open ─open_ok→ Running
//! any ─connection.close→ ClosedByClient ─close_ok→ Closed
//! any ─error→ ClosedByServer ─close-ok→ Closed        any ─lost framing→ Draining ─3 s→ Closed
//! ```
//! In Login, Open and ClosedByClient the owner has to answer, and no input is read until it does.
//! Octets of the two closing states are read and dropped. When the connection is closed, its
//! owner writes what is left to write and drops the socket.

mod commands;
mod handshake;
mod input;
mod output;
mod timers;
mod transactions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::assembly::Limits;
use crate::channel::{Channels, Mode};
use crate::config::{Config, FRAME_MIN};
use crate::error::Exception;
use crate::frame::OVERHEAD;
use crate::method::connection::{CLOSE, put_close};
use crate::output::Output;
use crate::table::Table;
use crate::unsettled::Deliveries;

pub use handshake::Capabilities;
pub use timers::Timeout;

use handshake::Peer;
use timers::Timers;

/// The state machine of one connection.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    state: State,
    peer: Peer,
    frame_max: u32,
    channel_max: u16,
    channels: Channels,
    /// Channels with confirms that are not in the output yet.
    confirming: SmallVec<[u16; 4]>,
    output: Output,
    timers: Timers,
    needed_input: usize,
    /// What the last look at the input left unread.
    leftover: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Protocol,
    Starting,
    Login,
    Tuning,
    Opening,
    Open,
    Running,
    ClosedByClient,
    ClosedByServer,
    Draining,
    Closed,
}

impl State {
    /// The name in `unexpected method in connection state …`.
    const fn name(self) -> &'static str {
        match self {
            Self::Protocol | Self::Starting => "starting",
            Self::Login => "securing",
            Self::Tuning => "tuning",
            Self::Opening | Self::Open => "opening",
            Self::Running => "running",
            Self::ClosedByClient | Self::ClosedByServer | Self::Draining => "closing",
            Self::Closed => "closed",
        }
    }
}

impl Connection {
    /// A connection that was accepted at `now`.
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        let timers = Timers::new(now + config.handshake_timeout);
        Self {
            channel_max: config.channel_max,
            config,
            state: State::Protocol,
            peer: Peer::default(),
            frame_max: HANDSHAKE_FRAME_MAX,
            channels: Channels::default(),
            confirming: SmallVec::new(),
            output: Output::default(),
            timers,
            needed_input: OVERHEAD,
            leftover: 0,
        }
    }

    /// Whether the socket is to be dropped, once what is left to write is written.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether the handshake is over and no close has begun.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Octets that the input has to hold until the next event can be complete. It counts from the
    /// first unread octet and is at most the negotiated frame_max.
    pub fn needed_input(&self) -> usize {
        self.needed_input
    }

    /// The largest frame in octets, after the negotiation.
    pub fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// The highest channel number, after the negotiation; 0 is no limit.
    pub fn channel_max(&self) -> u16 {
        self.channel_max
    }

    /// The heartbeat interval after the negotiation, if there is one.
    pub fn heartbeat(&self) -> Option<Duration> {
        self.timers.heartbeat()
    }

    /// The table that the client introduced itself with.
    pub fn client_properties(&self) -> Table<'_> {
        Table::from_encoded(&self.peer.properties)
    }

    /// The `connection_name` of the client properties.
    pub fn connection_name(&self) -> Option<&str> {
        self.client_properties().find("connection_name")?.as_str()
    }

    /// What the client said that it can do.
    pub fn capabilities(&self) -> Capabilities {
        self.peer.capabilities
    }

    /// How many channels there are, closing ones included.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// How many deliveries of a channel are not settled.
    pub fn unsettled_len(&self, channel: u16) -> usize {
        self.channels.view(channel).map_or(0, |channel| channel.unsettled.len())
    }

    /// How many publishes of a channel are not confirmed.
    pub fn unconfirmed_len(&self, channel: u16) -> u64 {
        self.channels.view(channel).map_or(0, |channel| channel.confirms.outstanding())
    }

    /// Whether a channel is in confirm mode.
    pub fn is_confirming(&self, channel: u16) -> bool {
        let channel = self.channels.view(channel);
        channel.is_some_and(|channel| matches!(channel.mode, Mode::Confirm))
    }

    /// Ends all channels and gives back what was unsettled on each, for requeueing. For whenever
    /// the connection ends, by whatever cause.
    pub fn drain_unsettled(&mut self) -> Vec<(u16, Deliveries)> {
        let channels = self.channels.take().into_iter();
        channels
            .map(|(number, mut channel)| (number, channel.take_unsettled()))
            .filter(|(_, deliveries)| !deliveries.is_empty())
            .collect()
    }

    /// Gives back buffers that are not in use. For when a connection has nothing to do; heartbeats
    /// do it too.
    pub fn release_buffers(&mut self) {
        self.output.release();
        for (_, channel) in self.channels.iter_mut() {
            channel.unsettled.release();
            channel.confirms.release();
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            payload_max: self.payload_max(),
            message_size_max: self.config.message_size_max,
            tables: self.config.tables,
        }
    }

    fn set_frame_max(&mut self, frame_max: u32) {
        self.frame_max = frame_max;
        self.output.set_payload_max(self.payload_max());
    }

    #[inline]
    fn payload_max(&self) -> usize {
        self.frame_max as usize - OVERHEAD
    }

    /// Sends connection.close. Everything but its answer is dropped from here on.
    fn send_close(&mut self, now: Instant, exception: &Exception) {
        self.flush_confirms();
        self.output.method(0, CLOSE, |out| put_close(out, exception));
        let patience = match self.state {
            State::Running => self.timers.heartbeat().unwrap_or(CLOSE_TIMEOUT).min(CLOSE_TIMEOUT),
            _ => DRAIN_TIMEOUT,
        };
        self.timers.close_by(now + patience);
        self.state = State::ClosedByServer;
    }

    /// Sends connection.close into a connection whose framing is lost.
    fn send_last_close(&mut self, now: Instant, exception: &Exception) {
        self.send_close(now, exception);
        self.state = State::Draining;
        self.timers.close_by(now + DRAIN_TIMEOUT);
    }

    fn end(&mut self) {
        self.state = State::Closed;
        self.timers.stop();
    }
}

/// Frames may not be larger than this before tune-ok.
const HANDSHAKE_FRAME_MAX: u32 = 8192;
/// The longest wait for a close-ok.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to read why its handshake failed or its framing is lost.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

const _: () = assert!(HANDSHAKE_FRAME_MAX >= FRAME_MIN && FRAME_MIN as usize > OVERHEAD);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;

    #[test]
    fn an_idle_connection_with_a_channel_takes_less_than_a_kibibyte() {
        assert!(size_of::<Connection>() + size_of::<Channel>() < 900);
    }
}
