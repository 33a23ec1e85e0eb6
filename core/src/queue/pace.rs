//! Whether those who publish to a queue are a little faster than its consumers. If they wait then, a
//! backlog that would soon be gone does not have to go over the disk.

use super::Queue;

/// What went in and out since a window of time began.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since_ms: u64,
    published: u64,
    delivered: u64,
    /// In the last window, consumers took less than half of what came. They hold nobody up.
    is_lost: bool,
}

impl Pace {
    /// Begins a new window if the time of the last one is over.
    fn note(&mut self, (published, delivered): (u64, u64), now_ms: u64) {
        if now_ms < self.since_ms + WINDOW_MS {
            return;
        }
        let (came, went) = (published - self.published, delivered - self.delivered);
        *self = Pace { since_ms: now_ms, published, delivered, is_lost: went * 2 < came };
    }
}

impl Queue {
    /// To be asked after each batch that was published: whether a publisher should wait until
    /// [`Queue::is_behind`] says no.
    pub(crate) fn is_outpaced(&mut self, now_ms: u64) -> bool {
        self.pace.note((self.counts.published, self.counts.delivered_in_all()), now_ms);
        !self.pace.is_lost && self.has_waiting(BEHIND_BYTES)
    }

    /// Whether a publisher that waits should go on waiting.
    pub fn is_behind(&self) -> bool {
        self.has_waiting(BEHIND_BYTES / 2)
    }

    /// Whether consumers have so much left to take, and all of it is in memory.
    fn has_waiting(&self, bytes: u64) -> bool {
        self.ready.extent().size_bytes >= bytes
            && !self.consumers.is_empty()
            && self.ready.levels().all(|level| !level.has_backlog())
    }
}

/// Messages in memory that consumers should not fall behind by.
const BEHIND_BYTES: u64 = 2 * 1024 * 1024;

/// How long consumers have to show their pace, in milliseconds.
const WINDOW_MS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_by_consumers_that_take_half_of_what_comes() {
        let mut pace = Pace::default();
        let (mut counts, mut now_ms) = ((0, 0), 0);
        let mut window = |came: u64, went: u64| {
            counts = (counts.0 + came, counts.1 + went);
            now_ms += WINDOW_MS;
            pace.note(counts, now_ms - 1);
            pace.note(counts, now_ms);
            !pace.is_lost
        };
        assert!(window(100, 100));
        assert!(window(100, 50));
        assert!(!window(100, 49));
        assert!(!window(100, 0));
        assert!(window(100, 150));
        assert!(window(0, 0));
    }
}
