//! Messages whose time to live is over: dropped on time, wherever they stand.
//!
//! What waits is in order of expiry for the most part, so the front tells. The rest is in the levels'
//! lists of what is early. A piece of the backlog in which something has expired is read: the first
//! one comes to the front, another one is written again without what has expired.

use super::backlog::{self, PageEntries, PageFetch, READ_AHEAD_LEN};
use super::entry::NEVER;
use super::page::{self, Place};
use super::{DeathReason, Effects, Queue};
use crate::EntryIndex;

impl Queue {
    /// Drops what has expired, wherever it stands, and says when the next does. So many at a time that
    /// nobody else waits long.
    pub(super) fn keep_to_time(&mut self, now_ms: u64, fx: &mut Effects) -> u64 {
        let mut left = EXPIRED_MAX;
        let levels = self.ready.priorities();
        let next = levels.map(|priority| self.expire_level(priority, now_ms, &mut left, fx));
        next.min().unwrap_or(NEVER)
    }

    /// As [`Queue::keep_to_time`], for one level.
    fn expire_level(
        &mut self,
        priority: u8,
        now_ms: u64,
        left: &mut usize,
        fx: &mut Effects,
    ) -> u64 {
        loop {
            let level = self.ready.level(priority);
            let front = level
                .front()
                .map_or((NEVER, EntryIndex(0)), |front| (front.expires_at_ms, front.index));
            let early = level.first_early().filter(|early| *early < front);
            let (at_ms, index) = early.unwrap_or(front);
            if at_ms > now_ms || *left == 0 {
                return at_ms;
            }
            *left -= 1;
            // Replay may have found out that it does not expire any more.
            if self.ready.find(index).is_some_and(|entry| entry.expires_at_ms > now_ms) {
                self.ready.level(priority).forget_early((at_ms, index));
                continue;
            }
            if let Some(entry) = self.ready.remove(index) {
                self.give_memory(entry.resident_bytes(), fx);
                self.part_with(entry, DeathReason::Expired, fx);
            } else if self.fetching {
                // The queue is pumped when it is back.
                return NEVER;
            } else {
                self.sweep((at_ms, index), priority, now_ms, fx);
            }
        }
    }

    /// Something in a piece of the backlog has expired.
    fn sweep(&mut self, early: (u64, EntryIndex), priority: u8, now_ms: u64, fx: &mut Effects) {
        let level = self.ready.level(priority);
        if level.back().is_some_and(|back| back.first() == early.1) {
            backlog::finish_page(level, fx);
        }
        let Some(at) = level.pages.iter().position(|page| page.first == early.1) else {
            return level.forget_early(early);
        };
        let comes_to_front = at == 0 && level.front_is_short(READ_AHEAD_LEN);
        let swept_at_ms = (!comes_to_front).then_some(now_ms);
        let first = early.1;
        match level.pages[at].place.clone() {
            Place::Memory(entries) => {
                let entries = page::read(&entries).unwrap_or_default();
                self.give_back_page(PageEntries { first, entries, swept_at_ms }, fx);
            }
            Place::Journal(reference) => {
                let at = reference.at;
                self.fetch_page(PageFetch { at, bytes_max: 0, first, swept_at_ms }, fx);
            }
        }
    }
}

/// How many expire in one go.
const EXPIRED_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{Facts, Message, Position, QueueSettings, Reference};

    #[test]
    fn what_expires_asks_for_its_time_and_goes_then() {
        let settings = QueueSettings { message_ttl_ms: Some(100), ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        publish(&mut queue, 0, 1000, &mut fx);
        publish(&mut queue, 1, 1040, &mut fx);
        assert_eq!(std::mem::take(&mut fx.wakes), [(QUEUE, 1100)], "once");
        queue.pump(1099, &mut fx);
        assert!(fx.deaths.is_empty());
        queue.pump(1100, &mut fx);
        assert_eq!(died(&mut fx), [(0, DeathReason::Expired)]);
        assert_eq!(std::mem::take(&mut fx.wakes), [(QUEUE, 1140)]);
    }

    #[test]
    fn many_expire_in_several_goes() {
        let settings = QueueSettings { message_ttl_ms: Some(100), ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        (0..1500).for_each(|number| publish(&mut queue, number, 0, &mut fx));
        fx.wakes.clear();
        queue.pump(100, &mut fx);
        assert_eq!(
            (died(&mut fx).len(), std::mem::take(&mut fx.wakes)),
            (1000, vec![(QUEUE, 100)])
        );
        queue.pump(100, &mut fx);
        assert_eq!((died(&mut fx).len(), queue.stats().ready), (500, 0));
    }

    fn expiring(expires_at_ms: Option<u64>) -> Message {
        message_with(Facts { expires_at_ms, ..Facts::default() })
    }

    #[test]
    fn what_stands_behind_something_that_stays_expires_on_time() {
        let (mut queue, mut fx) = (queue(QueueSettings::default()), effects());
        for (number, expires_at_ms) in [None, Some(500), Some(100), None].into_iter().enumerate() {
            publish_message(&mut queue, number as u64, expiring(expires_at_ms), &mut fx);
        }
        assert_eq!(std::mem::take(&mut fx.wakes), [(QUEUE, 500), (QUEUE, 100)]);
        queue.pump(100, &mut fx);
        assert_eq!(died(&mut fx), [(2, DeathReason::Expired)]);
        assert_eq!(std::mem::take(&mut fx.wakes), [(QUEUE, 500)]);
        queue.pump(499, &mut fx);
        assert!(fx.deaths.is_empty() && fx.wakes.is_empty());
        queue.pump(500, &mut fx);
        assert_eq!(died(&mut fx), [(1, DeathReason::Expired)]);
        assert_eq!(queue.stats().ready, 2);
    }

    #[test]
    fn a_higher_priority_that_stays_holds_up_nothing_lower() {
        let settings = QueueSettings { max_priority: 5, ..QueueSettings::default() };
        let (mut queue, mut fx) = (queue(settings), effects());
        for (number, priority, expires_at_ms) in [(0, 5, None), (1, 0, Some(100))] {
            let facts = Facts { priority, expires_at_ms, ..Facts::default() };
            publish_message(&mut queue, number, message_with(facts), &mut fx);
        }
        queue.pump(100, &mut fx);
        assert_eq!(died(&mut fx), [(1, DeathReason::Expired)]);
    }

    /// Puts pages into a journal that is a list, and reads what is asked for.
    fn carry_out(queue: &mut Queue, journal: &mut Vec<bytes::Bytes>, fx: &mut Effects) {
        while !fx.pages.is_empty() || !fx.fetches.is_empty() {
            for page in std::mem::take(&mut fx.pages) {
                journal.push(page.entries);
                let at = Position(1000 + journal.len() as u64);
                queue.paged_out(page.first, Reference { at, bytes: 48 }, fx);
            }
            for fetch in std::mem::take(&mut fx.fetches) {
                let page = fetch.page.unwrap();
                let entries = &journal[(page.at.0 - 1001) as usize];
                queue.page_fetched(page.read(entries).unwrap(), fx);
            }
        }
    }

    #[test]
    fn a_page_that_is_swept_before_the_journal_has_it_is_written_once() {
        let mut queue = queue(QueueSettings::default());
        let mut fx = Effects { page_len_max: 40, ..Effects::default() };
        for number in 0..8 {
            let expires_at_ms = (number == 6).then_some(10);
            publish_message(&mut queue, number, expiring(expires_at_ms), &mut fx);
        }
        let firsts = |fx: &Effects| fx.pages.iter().map(|page| page.first.0).collect::<Vec<_>>();
        assert_eq!(firsts(&fx), [0, 4]);
        queue.pump(10, &mut fx);
        assert_eq!(firsts(&fx), [0, 4]);
        assert_eq!(
            (fx.pages[1].entries.len() < fx.pages[0].entries.len(), queue.stats().ready),
            (true, 7)
        );
    }

    #[test]
    fn what_is_written_out_expires_on_time_and_the_rest_stays_in_order() {
        let (mut queue, mut journal) = (queue(QueueSettings::default()), Vec::new());
        let mut fx = Effects { page_len_max: 4, ..Effects::default() };
        for number in 0..40 {
            let expires_at_ms = (number % 3 == 2).then_some(1000 - number);
            publish_message(&mut queue, number, expiring(expires_at_ms), &mut fx);
            carry_out(&mut queue, &mut journal, &mut fx);
        }
        assert!(journal.len() >= 9, "{}", journal.len());
        queue.pump(980, &mut fx);
        for _ in 0..40 {
            carry_out(&mut queue, &mut journal, &mut fx);
            queue.pump(980, &mut fx);
        }
        let mut gone: Vec<u64> = died(&mut fx).into_iter().map(|(index, _)| index).collect();
        gone.iter().for_each(|&index| queue.left(EntryIndex(index), &mut fx));
        gone.sort_unstable();
        let expired: Vec<u64> = (0..40).filter(|number| number % 3 == 2 && *number >= 20).collect();
        assert_eq!((gone, queue.stats().ready), (expired, 40 - 7));
        assert_eq!(fx.wakes.last(), Some(&(QUEUE, 1000 - 17)));
        let mut left = Vec::new();
        queue.stored(
            &mut |at| {
                let entries = journal[(at.0 - 1001) as usize].clone();
                Some(crate::record::Record::Page { queue: QUEUE, entries })
            },
            &mut |entry| left.push(entry.index.0),
        );
        assert_eq!(left, (0..40).filter(|n| n % 3 != 2 || *n < 20).collect::<Vec<_>>());
    }
}
