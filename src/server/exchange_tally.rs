//! What one publisher has published to an exchange, counted there once a batch: a counter that all
//! publishers share costs too much for each message.

use std::sync::Arc;

use leveret_core::ExchangeTraffic;

/// Of the exchange that was published to last.
#[derive(Debug, Default)]
pub struct ExchangeTally {
    traffic: Option<Arc<ExchangeTraffic>>,
    published: u64,
    routed: u64,
}

impl ExchangeTally {
    /// A message was published to this exchange, and so many copies of it go to queues.
    #[inline]
    pub fn note(&mut self, traffic: &Arc<ExchangeTraffic>, copies: usize) {
        if self.traffic.as_ref().is_none_or(|known| !Arc::ptr_eq(known, traffic)) {
            self.flush();
            self.traffic = Some(traffic.clone());
        }
        self.published += 1;
        self.routed += copies as u64;
    }

    /// Counts at the exchange what was noted.
    pub fn flush(&mut self) {
        if let Some(traffic) = self.traffic.as_ref().filter(|_| self.published > 0) {
            traffic.note(self.published, self.routed);
            (self.published, self.routed) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_exchange_or_the_end_of_a_batch_counts_what_was_noted() {
        let [a, b]: [Arc<ExchangeTraffic>; 2] = Default::default();
        let mut tally = ExchangeTally::default();
        tally.note(&a, 2);
        tally.note(&a, 0);
        assert_eq!((a.published(), a.routed()), (0, 0));
        tally.note(&b, 1);
        assert_eq!((a.published(), a.routed()), (2, 2));
        tally.flush();
        tally.flush();
        assert_eq!((b.published(), b.routed()), (1, 1));
    }
}
