//! When each message is to be sent, from the start of the run. A publisher that was held up sends what is overdue at once, with
//! the times at which it should have been sent: so a broker that stalls cannot hide that by slowing
//! its clients down ("coordinated omission").

use crate::clock::Moment;

/// The schedule of one publisher, or of anything else that is done again and again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    first: Moment,
    interval_ns: Option<f64>,
    done: u64,
}

impl Pace {
    /// Shares `per_second` evenly among `among`, of which this is number `which`. Without a rate,
    /// everything is due at once.
    pub fn new(per_second: Option<f64>, among: usize, which: usize) -> Pace {
        let interval_ns = per_second.map(|rate| among as f64 * 1e9 / rate);
        // Their turns are spread, or all would send in the same moment.
        let offset = interval_ns.unwrap_or(0.0) * which as f64 / among as f64;
        Pace { first: Moment(offset as u64), interval_ns, done: 0 }
    }

    /// When the next one is to be done; now, if there is no rate.
    pub fn next(&self, now: Moment) -> Moment {
        match self.interval_ns {
            None => now,
            Some(interval) => Moment(self.first.0 + (self.done as f64 * interval) as u64),
        }
    }

    /// The next one has been done.
    pub fn advance(&mut self) {
        self.done += 1;
    }

    /// How many have been done.
    pub fn done(&self) -> u64 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(mut pace: Pace, count: usize) -> Vec<u64> {
        let next = |_| {
            let next = pace.next(Moment(7)).0;
            pace.advance();
            next
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn a_rate_is_shared_in_turns() {
        let rate = Some(1e9 / 100.0);
        assert_eq!(times(Pace::new(rate, 1, 0), 3), [0, 100, 200]);
        assert_eq!(times(Pace::new(rate, 2, 0), 3), [0, 200, 400]);
        assert_eq!(times(Pace::new(rate, 2, 1), 3), [100, 300, 500]);
    }

    #[test]
    fn being_late_moves_no_intended_time() {
        let mut pace = Pace::new(Some(1_000.0), 1, 0);
        pace.advance();
        assert_eq!(pace.next(Moment(60_000_000_000)), Moment(1_000_000));
    }

    #[test]
    fn without_a_rate_everything_is_due_now() {
        assert_eq!(times(Pace::new(None, 4, 3), 2), [7, 7]);
    }

    #[test]
    fn a_rate_that_is_no_whole_number_of_nanoseconds_does_not_drift() {
        let mut pace = Pace::new(Some(3.0), 1, 0);
        (0..3_000_000).for_each(|_| pace.advance());
        assert_eq!(pace.next(Moment(0)).0 / 1_000, 1_000_000_000_000);
    }
}
