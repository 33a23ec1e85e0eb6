//! Tags of logins, of which it is known what they are worth.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// A keyed hash of a login, and of what it was checked against.
pub type Tag = [u8; 32];

/// Tags in two generations: when the younger one is full, or old, the older one goes.
#[derive(Debug, Default)]
pub struct Known {
    young: HashSet<Tag>,
    old: HashSet<Tag>,
    /// When the younger generation began, if it may get old.
    since: Option<Instant>,
}

impl Known {
    /// Whether a tag is there. It stays, then.
    pub fn knows(&mut self, tag: Tag) -> bool {
        if self.young.contains(&tag) {
            return true;
        }
        let was_known = self.old.contains(&tag);
        if was_known {
            self.add(tag);
        }
        was_known
    }

    /// Adds a tag.
    pub fn add(&mut self, tag: Tag) {
        if self.young.len() >= KNOWN_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tag);
    }

    /// As [`Known::knows`], but a tag stays for one to two generations only, of this time each.
    pub fn knows_still(&mut self, tag: Tag, now: Instant, generation: Duration) -> bool {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age >= generation) {
            let young = std::mem::take(&mut self.young);
            self.old =
                if age.is_some_and(|age| age < 2 * generation) { young } else { HashSet::new() };
            self.since = Some(now);
        }
        self.young.contains(&tag) || self.old.contains(&tag)
    }
}

/// Tags in each generation, with 32 bytes each.
const KNOWN_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::clock;

    fn tag(number: usize) -> Tag {
        let mut tag = Tag::default();
        tag[..8].copy_from_slice(&number.to_be_bytes());
        tag
    }

    #[test]
    fn as_many_are_remembered_as_there_is_room_for_and_those_in_use_stay() {
        let mut known = Known::default();
        for number in 0..3 * KNOWN_MAX {
            assert!(!known.knows(tag(number)));
            known.add(tag(number));
            assert!(known.knows(tag(number)) && known.knows(tag(0)), "{number}");
        }
        assert!(known.young.len() + known.old.len() <= 2 * KNOWN_MAX);
        assert!(!known.knows(tag(1)));
    }

    #[test]
    fn those_that_may_get_old_are_forgotten_in_time() {
        let (mut known, start) = (Known::default(), clock::now());
        let generation = Duration::from_secs(10);
        let mut knows = |second, new: Option<usize>| {
            let now = start + Duration::from_secs(second);
            let knows = known.knows_still(tag(1), now, generation);
            new.into_iter().for_each(|number| known.add(tag(number)));
            knows
        };
        assert!(!knows(0, Some(1)));
        assert!(knows(9, None) && knows(10, None) && knows(19, None) && !knows(20, Some(1)));
        assert!(knows(21, None) && !knows(60, None));
    }
}
