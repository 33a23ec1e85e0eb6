//! An onlooker: sees what is published to an exchange, as it comes, and has no part in it. There is no
//! queue and no binding, so that nothing goes another way, or is confirmed otherwise, for being looked at.
//!
//! What is not taken in time is missed, the oldest first, and counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::{Message, Pattern, Syntax};
use tokio::sync::Notify;

/// See the module's documentation.
#[derive(Debug)]
pub struct Onlooker {
    vhost: Arc<str>,
    exchange: String,
    pattern: String,
    syntax: Syntax,
    seen: Mutex<Seen>,
    arrived: Notify,
}

/// What waits to be taken.
#[derive(Debug, Default)]
struct Seen {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    missed: usize,
}

impl Onlooker {
    /// Of an exchange, and of the routing keys that a pattern matches, whatever the exchange's type is.
    pub fn new(vhost: Arc<str>, exchange: String, pattern: String, syntax: Syntax) -> Self {
        let (seen, arrived) = (Mutex::default(), Notify::new());
        Onlooker { vhost, exchange, pattern, syntax, seen, arrived }
    }

    /// The virtual host.
    pub fn vhost(&self) -> &Arc<str> {
        &self.vhost
    }

    /// The exchange.
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// Shows it a message, which it may not care for.
    pub(super) fn show(&self, vhost: &str, message: &Arc<Message>) {
        let is_wanted = *self.vhost == *vhost
            && self.exchange == message.exchange()
            && Pattern::new(&self.pattern, self.syntax).matches(message.routing_key());
        if is_wanted {
            self.lock().add(message.clone());
            self.arrived.notify_one();
        }
    }

    /// Waits until there is something to be taken.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn arrived(&self) {
        while self.lock().messages.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// The newest messages, up to `max`, in their order, and how many were missed since the last time.
    pub fn take(&self, max: usize) -> (VecDeque<Arc<Message>>, usize) {
        let mut seen = self.lock();
        while seen.messages.len() > max {
            seen.miss();
        }
        let Seen { messages, missed, .. } = std::mem::take(&mut *seen);
        (messages, missed)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nothing panics while it holds the messages")
    }
}

impl Seen {
    /// One that is too large for all of the room is seen as well, alone.
    fn add(&mut self, message: Arc<Message>) {
        self.bytes += message.size_bytes();
        self.messages.push_back(message);
        while self.messages.len() > SEEN_MAX
            || (self.bytes > SEEN_BYTES_MAX && self.messages.len() > 1)
        {
            self.miss();
        }
    }

    fn miss(&mut self) {
        let missed = self.messages.pop_front();
        self.bytes -= missed.map_or(0, |message| message.size_bytes());
        self.missed += 1;
    }
}

/// Messages that wait, and their size.
const SEEN_MAX: usize = 1_000;
const SEEN_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use leveret_core::{Body, Draft, Encoding, Facts};

    use super::*;

    fn message(exchange: &str, key: &str, len: usize) -> Arc<Message> {
        Arc::new(Message::new(Draft {
            exchange,
            routing_key: key,
            encoding: Encoding::None,
            properties: &[],
            body: Body::Borrowed(&vec![0; len]),
            facts: Facts::default(),
        }))
    }

    fn onlooker(pattern: &str) -> Onlooker {
        Onlooker::new("v".into(), "x".to_owned(), pattern.to_owned(), Syntax::Amqp)
    }

    #[test]
    fn it_sees_what_its_pattern_matches_in_its_exchange() {
        let onlooker = onlooker("a.#");
        for (vhost, exchange, key) in [("w", "x", "a"), ("v", "y", "a"), ("v", "x", "b")] {
            onlooker.show(vhost, &message(exchange, key, 1));
        }
        assert_eq!(onlooker.take(9).0.len(), 0);
        onlooker.show("v", &message("x", "a.b", 1));
        let (messages, missed) = onlooker.take(9);
        assert_eq!((messages[0].routing_key(), messages.len(), missed), ("a.b", 1, 0));
    }

    #[test]
    fn the_newest_are_kept_and_the_others_counted() {
        let onlooker = onlooker("#");
        (0..=SEEN_MAX).for_each(|n| onlooker.show("v", &message("x", &n.to_string(), 0)));
        let (messages, missed) = onlooker.take(SEEN_MAX);
        assert_eq!((messages.len(), messages[0].routing_key(), missed), (SEEN_MAX, "1", 1));
        (0..5).for_each(|n| onlooker.show("v", &message("x", &n.to_string(), 0)));
        let (messages, missed) = onlooker.take(2);
        assert_eq!((messages.len(), messages[0].routing_key(), missed), (2, "3", 3));
        assert_eq!(onlooker.take(2).1, 0, "counted once");
    }

    #[test]
    fn there_is_room_for_so_many_bytes_and_for_one_that_has_more() {
        let onlooker = onlooker("#");
        onlooker.show("v", &message("x", "small", SEEN_BYTES_MAX / 2));
        onlooker.show("v", &message("x", "large", 2 * SEEN_BYTES_MAX));
        let (messages, missed) = onlooker.take(9);
        assert_eq!((messages[0].routing_key(), messages.len(), missed), ("large", 1, 1));
        assert_eq!(onlooker.lock().bytes, 0);
    }
}
