//! How many logins of an address have failed of late. An address that has none left is refused unseen, for as
//! long as it takes to get one back: guessing is slow, and costs the broker nothing.
//!
//! A failure costs its address one minute divided by the setting; an address may be a minute in debt.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::turns::Source;

/// The debts of all addresses.
#[derive(Debug)]
pub struct Failures {
    /// What a failure costs; `None` if failures are not counted.
    cost: Option<Duration>,
    paid_at: Mutex<HashMap<Source, Instant, foldhash::fast::RandomState>>,
}

impl Failures {
    /// So many failures of each address in a minute; 0 is no limit.
    pub fn new(per_minute: u32) -> Self {
        Failures { cost: DEBT_MAX.checked_div(per_minute), paid_at: Mutex::default() }
    }

    /// Whether logins of an address are to be looked at.
    pub fn allow(&self, source: Source, now: Instant) -> bool {
        let Some(cost) = self.cost else { return true };
        let paid_at = self.lock().get(&source).copied();
        paid_at.is_none_or(|paid_at| paid_at.saturating_duration_since(now) + cost <= DEBT_MAX)
    }

    /// A login has failed.
    pub fn note(&self, source: Source, now: Instant) {
        let Some(cost) = self.cost else { return };
        let mut paid_at = self.lock();
        if paid_at.len() >= SOURCES_MAX && !paid_at.contains_key(&source) {
            paid_at.retain(|_, at| *at > now);
            // With as many guessers, those with the smaller half of the debts get off.
            for least in [DEBT_MAX / 2, DEBT_MAX] {
                if paid_at.len() >= SOURCES_MAX {
                    paid_at.retain(|_, at| *at > now + least);
                }
            }
        }
        let at = paid_at.entry(source).or_insert(now);
        *at = ((*at).max(now) + cost).min(now + DEBT_MAX);
    }

    fn lock(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<Source, Instant, foldhash::fast::RandomState>> {
        self.paid_at.lock().expect("nothing panics while it holds the debts")
    }
}

const DEBT_MAX: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const SOURCES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::server::clock;

    fn source(number: usize) -> Source {
        std::net::IpAddr::from(Ipv6Addr::from_bits((number as u128) << 64)).into()
    }

    #[test]
    fn an_address_has_so_many_failures_and_gets_them_back() {
        let (failures, start) = (Failures::new(3), clock::now());
        for _ in 0..3 {
            assert!(failures.allow(source(1), start));
            failures.note(source(1), start);
        }
        assert!(!failures.allow(source(1), start) && failures.allow(source(2), start));
        let at = |second| start + Duration::from_secs(second);
        assert!(!failures.allow(source(1), at(19)) && failures.allow(source(1), at(20)));
        failures.note(source(1), at(20));
        assert!(!failures.allow(source(1), at(20)) && failures.allow(source(1), at(40)));
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        let (failures, now) = (Failures::new(0), clock::now());
        (0..1000).for_each(|_| failures.note(source(1), now));
        assert!(failures.allow(source(1), now) && failures.lock().is_empty());
    }

    #[test]
    fn as_many_addresses_are_remembered_as_there_is_room_for() {
        let (failures, now) = (Failures::new(3), clock::now());
        (0..3).for_each(|_| failures.note(source(1), now));
        (2..=SOURCES_MAX + 1).for_each(|number| failures.note(source(number), now));
        assert!(failures.lock().len() <= SOURCES_MAX && !failures.allow(source(1), now));
    }
}
