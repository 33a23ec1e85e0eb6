//! Consumers that leave messages without settlement for longer than their queue allows.

use std::collections::BTreeSet;

use super::entry::NEVER;
use super::{Effects, Queue};
use crate::ConsumerId;

impl Queue {
    /// Reports who holds a message for too long, and says when to look again. That is not more often
    /// than ten times in the allowed time, because it looks at everything that is held.
    pub(super) fn look_at_holders(&mut self, now_ms: u64, fx: &mut Effects) -> u64 {
        let Some(timeout_ms) = self.settings.consumer_timeout_ms else { return NEVER };
        if self.unacked.len() == 0 {
            self.looks_at_holders_ms = NEVER;
        } else if self.looks_at_holders_ms == NEVER {
            self.looks_at_holders_ms = now_ms.saturating_add(timeout_ms);
        } else if self.looks_at_holders_ms <= now_ms {
            let next_ms = self.report_overdue(now_ms, timeout_ms, fx);
            self.looks_at_holders_ms = next_ms.max(now_ms.saturating_add(timeout_ms / 10 + 1));
        }
        self.looks_at_holders_ms
    }

    /// Says when the next one will be overdue.
    fn report_overdue(&self, now_ms: u64, timeout_ms: u64, fx: &mut Effects) -> u64 {
        let mut overdue = BTreeSet::<ConsumerId>::new();
        let mut next_ms = now_ms.saturating_add(timeout_ms);
        for holder in self.unacked.holders() {
            match holder.since_ms.saturating_add(timeout_ms) {
                NEVER => {}
                at_ms if at_ms <= now_ms => _ = overdue.insert(holder.consumer),
                at_ms => next_ms = next_ms.min(at_ms),
            }
        }
        fx.overdue.extend(overdue.into_iter().map(|consumer| (consumer, timeout_ms)));
        next_ms
    }
}
