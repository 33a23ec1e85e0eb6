//! What has to happen later: one list and one task for the whole node, so that a session that waits
//! for its expiry costs an entry and not a task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use leveret_core::QueueId;
use tokio::sync::Notify;

use super::{Node, clock};

/// Something to be done at its time. Whether it still applies is decided then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// An MQTT session has been without its client for long enough.
    SessionExpiry(QueueId),
    /// The delay of an MQTT will is over.
    Will(QueueId),
    /// A queue was not used for its time.
    QueueExpiry(QueueId),
    /// The message at the front of a queue has expired.
    QueueFront(QueueId),
}

/// The node's list of timers.
#[derive(Debug, Default)]
pub struct Timers {
    list: Mutex<List>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct List {
    due: BTreeMap<(Instant, u64), Timer>,
    /// Where each timer stands, so that one that is set again takes no second place.
    places: HashMap<Timer, (Instant, u64)>,
    set: u64,
}

impl Timers {
    /// Has something done after a time, instead of when it was to be done before.
    pub fn set(&self, after: Duration, timer: Timer) {
        let at = clock::now() + after.min(LONGEST);
        let first = {
            let mut list = self.list.lock().expect("nothing panics while it holds the timers");
            list.set += 1;
            let key = (at, list.set);
            if let Some(earlier) = list.places.insert(timer, key) {
                list.due.remove(&earlier);
            }
            list.due.insert(key, timer);
            list.due.first_key_value().is_some_and(|(first, _)| *first == key)
        };
        if first {
            self.earlier.notify_one();
        }
    }

    /// Waits for the next timer that is due.
    ///
    /// # Cancel safety
    /// A timer is taken from the list in the same step in which it is given out.
    pub async fn next(&self) -> Timer {
        loop {
            let first = {
                let mut list = self.list.lock().expect("nothing panics while it holds the timers");
                match list.due.first_entry() {
                    Some(entry) if entry.key().0 <= clock::now() => {
                        let timer = entry.remove();
                        list.places.remove(&timer);
                        return timer;
                    }
                    entry => entry.map(|entry| entry.key().0),
                }
            };
            let until = first.unwrap_or_else(|| clock::now() + LONGEST);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}

/// Carries out timers until the node is gone.
pub async fn run(node: Arc<Node>) {
    loop {
        match node.timers.next().await {
            Timer::SessionExpiry(session) => node.expire_session(session),
            Timer::Will(session) => node.publish_delayed_will(session),
            Timer::QueueExpiry(queue) => node.delete_if_unused(queue),
            Timer::QueueFront(queue) => node.pump(queue),
        }
    }
}

/// Ten years: longer times are cut to it, so that adding them to a clock cannot overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
