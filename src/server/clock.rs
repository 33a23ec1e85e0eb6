//! The one place that reads the clocks. Everything else takes time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, for timeouts.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch, for what is stored and shown.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
