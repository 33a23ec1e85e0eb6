//! Looks at what waits in a queue, without taking it. What is on the disk is read from there.

use std::sync::Arc;

use leveret_core::record::Record;
use leveret_core::{Message, Peeked, PeekedPage, Position, QueueId};

use super::Node;

/// A message that waits.
#[derive(Debug)]
pub struct Seen {
    /// The message.
    pub message: Arc<Message>,
    /// It was handed out before.
    pub redelivered: bool,
}

impl Node {
    /// The messages behind the first `offset` that wait in a queue, up to `count`, until they are
    /// `bytes_max` together. What is taken out meanwhile, or has expired, is left out. May wait for the
    /// disk.
    pub fn peek(&self, queue: QueueId, offset: usize, count: usize, bytes_max: usize) -> Vec<Seen> {
        let (peeked, now_ms) = self.shard_of(queue).post(|work| {
            let peeked = work.state.queue(queue).map(|queue| queue.peek(offset, count));
            (peeked.unwrap_or_default(), work.now_ms)
        });
        let mut seen = Vec::new();
        let mut bytes = 0;
        for peeked in peeked {
            if bytes >= bytes_max {
                break;
            }
            let found = match peeked {
                Peeked::One(one) => {
                    let message = one.message.or_else(|| self.read_message(one.at?));
                    message.into_iter().map(|message| (message, one.redelivered)).collect()
                }
                Peeked::Page(page) => self.read_page(&page, bytes_max - bytes),
            };
            for (message, redelivered) in found {
                bytes += message.size_bytes();
                if !message.is_expired(now_ms) {
                    seen.push(Seen { message, redelivered });
                }
            }
        }
        seen
    }

    /// The messages of a page, of which none was handed out before.
    fn read_page(&self, page: &PeekedPage, bytes_max: usize) -> Vec<(Arc<Message>, bool)> {
        let read = |at: Position| match self.record_there(at)? {
            Record::Page { entries, .. } => Some(entries),
            _ => None,
        };
        let entries = page.entries.clone().or_else(|| read(page.at?));
        let positions = entries.and_then(|entries| page.positions(&entries).ok());
        let mut bytes = 0;
        let messages = positions.unwrap_or_default().into_iter().map_while(|at| {
            let message = (bytes < bytes_max).then(|| self.read_message(at));
            bytes += message.iter().flatten().map(|message| message.size_bytes()).sum::<usize>();
            message
        });
        messages.flatten().map(|message| (message, false)).collect()
    }

    /// Whoever took the message has released its record: there may be nothing any more.
    fn read_message(&self, at: Position) -> Option<Arc<Message>> {
        let message = self.record_there(at)?.into_message()?.into_message().ok()?;
        Some(Arc::new(message))
    }

    fn record_there(&self, at: Position) -> Option<Record> {
        let record = self.storage.read(at).ok()?;
        Record::decode(record.header.kind, &record.payload).ok()
    }
}
