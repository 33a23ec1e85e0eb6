//! When a publisher is not listened to: it is faster than the disk or the consumers, or a resource
//! is short.

use std::time::{Duration, Instant};

use super::Node;

/// What one connection waits for before it is read from again.
#[derive(Debug, Default)]
pub struct Pause {
    until: Option<Instant>,
    /// When it began to wait for consumers.
    since: Option<Instant>,
    /// It has published under a resource alarm.
    is_alarmed: bool,
    has_published: bool,
}

impl Pause {
    /// Something was published.
    pub fn note_publish(&mut self) {
        self.has_published = true;
    }

    /// Input has been taken. Only who has published is held back by an alarm.
    pub fn after_input(&mut self, node: &Node, now: Instant, is_ahead: bool) {
        let has_published = std::mem::take(&mut self.has_published);
        self.is_alarmed = has_published && node.alarms.reason().is_some();
        let must_wait = node.is_backlogged() || is_ahead;
        self.since = is_ahead.then_some(now);
        self.until = match self.is_alarmed {
            true => Some(now + ALARM_PAUSE),
            false => must_wait.then(|| now + PAUSE),
        };
    }

    /// Something else is to be done before anything is read, at `at` or when the pause is over.
    pub fn until_at_least(&mut self, at: Instant) {
        self.until = self.until.max(Some(at));
    }

    /// Time has come to `now`: looks again. `is_ahead` says whether consumers are behind still.
    pub fn handle_timeout(
        &mut self,
        node: &Node,
        now: Instant,
        is_ahead: impl FnOnce(&Node) -> bool,
    ) {
        if self.until.is_none_or(|at| at > now) {
            return;
        }
        self.is_alarmed &= node.alarms.reason().is_some();
        let may_wait = self.since.is_some_and(|since| now < since + CONSUMERS_PAUSE_MAX);
        self.until = match self.is_alarmed {
            true => Some(now + ALARM_PAUSE),
            false => {
                let must_wait = node.is_backlogged() || (may_wait && is_ahead(node));
                must_wait.then(|| now + PAUSE)
            }
        };
    }

    /// When it is looked again; `None` if there is nothing to wait for.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether an alarm holds it back.
    pub fn is_alarmed(&self) -> bool {
        self.is_alarmed
    }
}

/// How long a publisher waits before it is looked again whether disk and consumers have caught up.
const PAUSE: Duration = Duration::from_millis(2);

/// How long it waits for consumers after one read.
const CONSUMERS_PAUSE_MAX: Duration = Duration::from_millis(100);

/// A pause for an alarm, which lasts.
const ALARM_PAUSE: Duration = Duration::from_millis(250);
