//! Heartbeats and deadlines (AMQP 0-9-1 §4.2.7), on the time that the owner passes in.
//!
//! There are looks at fixed distances instead of deadlines that every frame would move: each half
//! interval, if nothing was sent since the last look, a heartbeat goes out; each interval, if
//! nothing came, that is noted, and the second note in a row ends the connection.

use std::time::{Duration, Instant};

use super::Connection;
use crate::frame::{END, HEARTBEAT};

/// Why the time ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// The handshake took too long.
    Handshake,
    /// The client was silent for two heartbeat intervals or more.
    Heartbeat,
    /// The client did not answer a close, or had its time to read it.
    Close,
}

#[derive(Debug)]
pub(super) struct Timers {
    deadline: Option<(Instant, Timeout)>,
    interval: Duration,
    looks: Option<Looks>,
    sent: bool,
    /// Octets of heartbeats in the output: they are no sign of work.
    heartbeat_len: usize,
    pub(super) received: bool,
    reading_paused: bool,
}

#[derive(Debug, Clone, Copy)]
struct Looks {
    send: Instant,
    receive: Instant,
    was_silent: bool,
}

impl Timers {
    pub(super) fn new(handshake_by: Instant) -> Self {
        Self {
            deadline: Some((handshake_by, Timeout::Handshake)),
            interval: Duration::ZERO,
            looks: None,
            sent: false,
            heartbeat_len: 0,
            received: false,
            reading_paused: false,
        }
    }

    pub(super) fn heartbeat(&self) -> Option<Duration> {
        (!self.interval.is_zero()).then_some(self.interval)
    }

    /// Heartbeats begin, with tune-ok.
    pub(super) fn start_heartbeats(&mut self, now: Instant, secs: u16) {
        self.interval = Duration::from_secs(secs.into());
        if secs > 0 {
            let (send, receive) = (now + self.interval / 2, now + self.interval);
            self.looks = Some(Looks { send, receive, was_silent: false });
        }
    }

    pub(super) fn handshake_done(&mut self) {
        self.deadline = None;
    }

    pub(super) fn close_by(&mut self, deadline: Instant) {
        self.deadline = Some((deadline, Timeout::Close));
        self.looks = None;
    }

    pub(super) fn stop(&mut self) {
        self.deadline = None;
        self.looks = None;
    }

    /// Notes that so many octets are on their way.
    #[inline]
    pub(super) fn note_sent(&mut self, len: usize) {
        self.sent |= len > std::mem::take(&mut self.heartbeat_len);
    }

    fn next(&self) -> Option<Instant> {
        let deadline = self.deadline.map(|(deadline, _)| deadline);
        let look = self.looks.map(|looks| looks.send.min(looks.receive));
        deadline.into_iter().chain(look).min()
    }

    /// Whether the client has been silent for too long.
    fn look_for_input(&mut self, now: Instant) -> bool {
        let Some(looks) = self.looks.as_mut().filter(|looks| looks.receive <= now) else {
            return false;
        };
        looks.receive = now + self.interval;
        let silent = !std::mem::take(&mut self.received) && !self.reading_paused;
        std::mem::replace(&mut looks.was_silent, silent) && silent
    }

    /// Whether a heartbeat is due.
    fn look_for_output(&mut self, now: Instant) -> bool {
        let Some(looks) = self.looks.as_mut().filter(|looks| looks.send <= now) else {
            return false;
        };
        looks.send = now + self.interval / 2;
        !std::mem::take(&mut self.sent)
    }
}

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) is due next. Only a call of it, a change of
    /// state or a close moves this instant; traffic does not.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due by `now`: sends a heartbeat, or ends the connection and says why. Call
    /// [`is_closed`](Self::is_closed) and [`poll_transmit`](Self::poll_transmit) afterwards.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Timeout> {
        if let Some((deadline, timeout)) = self.timers.deadline
            && deadline <= now
        {
            self.end();
            return Some(timeout);
        }
        if self.timers.look_for_input(now) {
            self.end();
            return Some(Timeout::Heartbeat);
        }
        if self.timers.look_for_output(now) {
            if self.output.len() == 0 {
                self.release_buffers();
            }
            self.output.put_static(&HEARTBEAT_FRAME);
            self.timers.heartbeat_len += HEARTBEAT_FRAME.len();
        }
        None
    }

    /// Tells that the owner has stopped reading the socket, or reads it again. A client that is
    /// not read cannot be silent.
    pub fn set_reading_paused(&mut self, paused: bool) {
        self.timers.reading_paused = paused;
        self.timers.received = true;
    }
}

static HEARTBEAT_FRAME: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];
