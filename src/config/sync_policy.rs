//! When the journal is synced: a word, or an interval.

use std::time::Duration;

use super::Millis;

/// When the journal is synced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before every promise.
    Always,
    /// Every so often; promises do not wait for it.
    Interval(Duration),
    /// When the operating system likes.
    Never,
}

impl std::str::FromStr for SyncPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(SyncPolicy::Always),
            "never" => Ok(SyncPolicy::Never),
            _ => match text.parse::<Millis>() {
                Ok(Millis(interval)) if !interval.is_zero() => Ok(SyncPolicy::Interval(interval)),
                _ => Err("expected always, never or an interval in milliseconds".to_owned()),
            },
        }
    }
}

impl std::fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SyncPolicy::Always => f.write_str("always"),
            SyncPolicy::Never => f.write_str("never"),
            SyncPolicy::Interval(interval) => write!(f, "{}", interval.as_millis()),
        }
    }
}
