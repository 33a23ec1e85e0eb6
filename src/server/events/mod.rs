//! Events: what happens to the things of a broker, for clients that look on, published to an exchange
//! of the virtual host `/` if the configuration says so.
//!
//! Whoever causes an event adds it to a list, also while it holds locks: the list is a leaf. One task
//! of the node publishes what is on it, in that order. Nobody waits for those who look on: while the
//! list is full, further events are lost, and the log says how many.

mod change;
mod peers;

pub use peers::ConsumerFacts;

pub(super) use change::Change;

use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::{ExchangeKind, ExchangeSpec, Message, Table, Value};
use tokio::sync::Notify;

use super::frontend::amqp::event;
use super::{DEFAULT_VHOST, Node, clock};

/// The exchange that events go to.
pub const EXCHANGE: &str = "amq.rabbitmq.event";

/// The events that wait to be published.
#[derive(Debug)]
pub struct Events {
    is_on: bool,
    /// What the headers of an event have to fit into, in bytes.
    frame_max: u32,
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Message>,
    bytes: usize,
    lost: u64,
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What, as a routing key.
    pub key: &'static str,
    /// What about.
    pub about: Table,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Event {
    /// What happens now.
    pub fn new<'a>(key: &'static str, about: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Event { key, about: about.into_iter().collect(), at_ms: clock::now_ms() }
    }
}

impl Events {
    /// No events; if they are off, there never are any.
    pub fn new(is_on: bool, frame_max: u32) -> Self {
        Events { is_on, frame_max, waiting: Mutex::default(), added: Notify::new() }
    }

    /// Whether anybody may want to know.
    #[inline]
    pub fn are_on(&self) -> bool {
        self.is_on
    }

    /// Adds events at the end.
    pub fn add(&self, events: impl IntoIterator<Item = Event>) {
        if !self.is_on {
            return;
        }
        let mut waiting = self.lock();
        for event in events {
            if waiting.bytes >= WAITING_BYTES_MAX {
                waiting.lost += 1;
                continue;
            }
            let message = event::message(&event, self.frame_max);
            waiting.bytes += message.size_bytes();
            waiting.messages.push(message);
        }
        self.added.notify_one();
    }

    /// Waits for the next ones; how many were lost behind them.
    async fn next(&self) -> (Vec<Message>, u64) {
        loop {
            let added = self.added.notified();
            let Waiting { messages, lost, .. } = std::mem::take(&mut *self.lock());
            if !messages.is_empty() {
                return (messages, lost);
            }
            added.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while it holds the list")
    }
}

/// Publishes events until the node is gone.
pub async fn run(node: Arc<Node>) {
    loop {
        let (messages, lost) = node.events.next().await;
        for message in messages {
            node.publish_within(DEFAULT_VHOST, message);
        }
        if lost > 0 {
            tracing::warn!(lost, "events are lost: they came faster than they were published");
        }
    }
}

impl Node {
    /// Makes the exchange for events, if there are to be any. Clients can make none of its name.
    pub fn declare_event_exchange(&self) {
        if !self.events.are_on() {
            return;
        }
        let spec = ExchangeSpec { internal: true, ..ExchangeSpec::durable(ExchangeKind::Topic) };
        self.declare_own_exchange(&DEFAULT_VHOST.into(), EXCHANGE, spec);
    }
}

/// The memory of waiting events at which no more are added.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_MAX: u32 = 131_072;

    fn event(name: &str) -> Event {
        Event::new("queue.created", [("name", name.into())])
    }

    #[tokio::test]
    async fn as_many_events_wait_as_there_is_room_for_and_further_ones_are_counted() {
        let events = Events::new(true, FRAME_MAX);
        let size = event::message(&event("q"), FRAME_MAX).size_bytes();
        let max = WAITING_BYTES_MAX.div_ceil(size);
        for lost in [0, 1] {
            events.add((0..max + lost).map(|_| event("q")));
            let (waiting, were_lost) = events.next().await;
            assert_eq!((waiting.len(), were_lost), (max, lost as u64));
        }
    }

    #[test]
    fn an_event_fits_into_a_frame_whatever_it_is_about() {
        let names = ["q".repeat(200_000), "q".repeat(FRAME_MAX as usize), "q".to_owned()];
        let events = Events::new(true, FRAME_MAX);
        events.add(names.iter().map(|name| event(name)));
        let lens: Vec<_> = events.lock().messages.iter().map(|it| it.properties().len()).collect();
        assert!(lens.iter().all(|&len| len < 100), "{lens:?}");
        assert!(lens[0] == lens[1] && lens[1] < lens[2], "only what fits is told: {lens:?}");
    }

    #[test]
    fn nothing_is_kept_while_events_are_off() {
        let events = Events::new(false, FRAME_MAX);
        events.add([event("q")]);
        assert!(events.lock().messages.is_empty());
    }
}
