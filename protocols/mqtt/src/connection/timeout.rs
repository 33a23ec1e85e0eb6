//! When a connection has been silent for too long.
//!
//! Only the time of the last packet is stored, so resetting the keep alive is one store. Sent
//! packets do not count, half received ones neither.

use std::time::{Duration, Instant};

use super::{Connection, Phase};
use crate::Error;

impl Connection {
    /// When [`Connection::handle_timeout`] should be called next. Packets that arrive meanwhile
    /// move the time on, so a timer may sleep until this one and ask again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting => self.last_packet.checked_add(self.config.connect_timeout),
            Phase::Authenticating => self.authentication_due(),
            Phase::Connected => {
                [self.silence_due(), self.authentication_due()].into_iter().flatten().min()
            }
            Phase::Connecting | Phase::Closed => None,
        }
    }

    /// Ends a connection that is overdue at `now`; the error says why. Early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Error> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        let error = match self.phase {
            Phase::Waiting => Error::ConnectTimeout,
            _ if self.authentication_due().is_some_and(|due| due <= now) => {
                Error::AuthenticationTimeout
            }
            _ => Error::KeepAliveTimeout,
        };
        Some(self.fail(error))
    }

    /// Begins the keep alive anew: its owner has not read what the client may have said.
    pub fn note_heard(&mut self, now: Instant) {
        self.last_packet = self.last_packet.max(now);
    }

    /// One and a half times the keep alive after the last packet [MQTT-3.1.2-22].
    fn silence_due(&self) -> Option<Instant> {
        let silence_max = Duration::from_millis(1500) * u32::from(self.keep_alive_s);
        self.last_packet.checked_add(silence_max).filter(|_| self.keep_alive_s > 0)
    }

    fn authentication_due(&self) -> Option<Instant> {
        self.method.as_ref()?.due()
    }
}
