//! Time since the beginning of a run. The only place that reads the clock.

use std::time::{Duration, Instant};

/// Nanoseconds since the origin of a [`Clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// How long after another moment this one is; nothing if it is before.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock whose origin is now.
    #[allow(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time now.
    pub fn now(self) -> Moment {
        // Five centuries fit.
        Moment(self.0.elapsed().as_nanos() as u64)
    }
}
