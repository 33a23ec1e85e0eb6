//! What the kept queues hold, as their clients must see it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::step::{KEPT, PRIORITIZED, PRIORITY_MAX};

/// A message of a kept queue, by a number that grows in the order of acceptance.
pub type MessageId = u64;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Ledger {
    messages: BTreeMap<MessageId, Entry>,
    /// The order in which messages came into their queue.
    accepted: [Vec<MessageId>; KEPT],
    last: MessageId,
}

#[derive(Debug)]
struct Entry {
    queue: usize,
    /// Those of a higher one come first.
    priority: u8,
    state: State,
    /// A client has seen it.
    is_seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unpublished,
    Ready,
    Held,
    Gone,
}

impl Ledger {
    /// A number for a message that is about to be published.
    pub fn number(&mut self, queue: usize, priority: u8) -> MessageId {
        self.last += 1;
        let priority = if queue == PRIORITIZED { priority.min(PRIORITY_MAX) } else { 0 };
        let entry = Entry { queue, priority, state: State::Unpublished, is_seen: false };
        self.messages.insert(self.last, entry);
        self.last
    }

    /// It is in its queue, or will be before anything that is accepted later.
    pub fn accept(&mut self, id: MessageId) {
        let entry = self.entry(id);
        assert_eq!(entry.state, State::Unpublished, "message {id} is published twice");
        entry.state = State::Ready;
        let queue = entry.queue;
        self.accepted[queue].push(id);
    }

    /// A client has got it.
    pub fn deliver(&mut self, id: MessageId, redelivered: bool) {
        let entry = self.entry(id);
        assert_eq!(entry.state, State::Ready, "message {id} is delivered");
        assert!(redelivered || !entry.is_seen, "message {id} comes again without saying so");
        entry.state = State::Held;
        entry.is_seen = true;
    }

    /// It goes back.
    pub fn requeue(&mut self, id: MessageId) {
        self.entry(id).state = State::Ready;
    }

    /// It is done with.
    pub fn settle(&mut self, id: MessageId) {
        self.entry(id).state = State::Gone;
    }

    /// What a queue holds when nobody has anything in hand, in order.
    pub fn content(&self, queue: usize) -> Vec<MessageId> {
        let is_there = |id: &&MessageId| {
            let state = self.messages[id].state;
            assert_ne!(state, State::Held, "the test has lost message {id}");
            state == State::Ready
        };
        let mut content: Vec<_> = self.accepted[queue].iter().filter(is_there).copied().collect();
        content.sort_by_key(|id| Reverse(self.messages[id].priority));
        content
    }

    fn entry(&mut self, id: MessageId) -> &mut Entry {
        self.messages.get_mut(&id).unwrap_or_else(|| panic!("message {id} is nobody's"))
    }
}

/// The body of a message of a kept queue.
pub fn body(id: MessageId, size: usize) -> Vec<u8> {
    [MARK, &id.to_be_bytes(), &vec![b'.'; size]].concat()
}

/// The number in a body, if it is of a message of a kept queue.
pub fn id_of(body: &[u8]) -> Option<MessageId> {
    let rest = body.strip_prefix(MARK)?;
    Some(u64::from_be_bytes(*rest.first_chunk()?))
}

const MARK: &[u8] = b"kept";
