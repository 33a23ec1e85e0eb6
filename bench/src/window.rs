//! What a publisher has sent and the broker has not yet confirmed, oldest first.
//!
//! Messages are numbered from 1 in the order in which they are sent, as AMQP's delivery tags are.
//! MQTT's packet identifiers are these numbers, wrapped (see [`Window::numbered`]).

use std::collections::VecDeque;

use crate::clock::Moment;
use crate::stamp::Stream;

/// Identifiers of MQTT packets: 1 to 65,535.
const IDENTIFIERS: u64 = 65_535;

/// Something sent and not yet settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The stream that it belongs to.
    pub stream: Stream,
    /// When it should have been sent.
    pub intended: Moment,
}

/// A window of unsettled messages.
#[derive(Debug)]
pub struct Window {
    limit: usize,
    /// The number of the front.
    first: u64,
    /// Those settled before an older one stay, as nothing, until that one is.
    sent: VecDeque<Option<Sent>>,
    unsettled: usize,
}

impl Window {
    /// A window of at most `limit` messages.
    pub fn new(limit: usize) -> Window {
        Window { limit, first: 1, sent: VecDeque::new(), unsettled: 0 }
    }

    /// Lowers the limit, if the broker wants less.
    pub fn lower(&mut self, limit: usize) {
        self.limit = self.limit.min(limit);
    }

    /// Whether nothing more may be sent. What is settled out of turn still takes its place, as its
    /// number must not come again while an older one is in use.
    pub fn is_full(&self) -> bool {
        self.unsettled >= self.limit || self.sent.len() >= IDENTIFIERS as usize
    }

    /// Whether everything is settled.
    pub fn is_empty(&self) -> bool {
        self.unsettled == 0
    }

    /// Notes what was sent.
    pub fn push(&mut self, sent: Sent) {
        self.sent.push_back(Some(sent));
        self.unsettled += 1;
    }

    /// The packet identifier of the next message.
    pub fn next_identifier(&self) -> u16 {
        let number = self.first + self.sent.len() as u64;
        // Within 1 and 65,535.
        ((number - 1) % IDENTIFIERS + 1) as u16
    }

    /// The number of the message that has this packet identifier.
    pub fn numbered(&self, identifier: u16) -> u64 {
        let front = (self.first - 1) % IDENTIFIERS + 1;
        self.first + (u64::from(identifier) + IDENTIFIERS - front) % IDENTIFIERS
    }

    /// Settles one message; nothing if it is not unsettled.
    pub fn settle(&mut self, number: u64) -> Option<Sent> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let settled = self.sent.get_mut(place)?.take()?;
        self.unsettled -= 1;
        while matches!(self.sent.front(), Some(None)) {
            self.sent.pop_front();
            self.first += 1;
        }
        Some(settled)
    }

    /// Settles all messages up to this one. Zero stands for all that were sent (AMQP 0-9-1
    /// §basic.ack).
    pub fn settle_through(&mut self, number: u64, mut each: impl FnMut(Sent)) {
        let end = self.first + self.sent.len() as u64;
        let last = if number == 0 { end - 1 } else { number };
        while self.first <= last {
            let Some(front) = self.sent.pop_front() else { return };
            self.first += 1;
            if let Some(sent) = front {
                self.unsettled -= 1;
                each(sent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limit: usize, count: u16) -> Window {
        let mut window = Window::new(limit);
        (0..count).for_each(|i| window.push(sent(i)));
        window
    }

    fn sent(i: u16) -> Sent {
        Sent { stream: Stream(i), intended: Moment(0) }
    }

    #[test]
    fn a_window_is_full_at_its_limit_and_open_below_it() {
        let mut window = filled(3, 2);
        assert!(!window.is_full());
        window.push(sent(2));
        assert!(window.is_full());
        assert_eq!(window.settle(2), Some(sent(1)));
        assert!(!window.is_full());
    }

    #[test]
    fn a_message_is_settled_once_and_unknown_ones_are_not() {
        let mut window = filled(9, 3);
        assert_eq!(window.settle(2), Some(sent(1)));
        assert_eq!((window.settle(2), window.settle(4), window.settle(0)), (None, None, None));
        assert_eq!(window.settle(1), Some(sent(0)));
        assert_eq!((window.settle(1), window.first), (None, 3));
    }

    #[test]
    fn multiple_settles_what_is_left_of_all_before() {
        let mut window = filled(9, 5);
        window.settle(2);
        let mut settled = Vec::new();
        window.settle_through(3, |sent| settled.push(sent.stream.0));
        assert_eq!(settled, [0, 2]);
        window.settle_through(0, |sent| settled.push(sent.stream.0));
        assert_eq!(settled, [0, 2, 3, 4]);
        window.settle_through(u64::MAX, |_| panic!("nothing is left"));
        assert!(window.is_empty());
    }

    #[test]
    fn packet_identifiers_wrap_and_lead_back_to_their_numbers() {
        let mut window = Window::new(10);
        for number in 1..=140_000u64 {
            let identifier = window.next_identifier();
            assert_ne!(identifier, 0);
            window.push(sent(0));
            assert_eq!(window.numbered(identifier), number);
            if number > 5 {
                assert!(window.settle(number - 5).is_some());
            }
        }
    }
}
