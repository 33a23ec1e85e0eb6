//! What an operator can choose about the log.

use std::path::PathBuf;
use std::time::Duration;

/// Where the log lives and how it behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogConfig {
    /// The data directory; created if it is missing.
    pub dir: PathBuf,
    /// The size of a segment file, and so the step in which disk space is given back. A longer
    /// record gets a file of its own. Default 64 MiB.
    pub segment_bytes: u64,
    /// When the disk is told to keep what was written. Default [`SyncPolicy::Always`].
    pub sync: SyncPolicy,
    /// The backlog from which on publishers should wait, see
    /// [`is_backlogged`](crate::Storage::is_backlogged). Default 64 MiB.
    pub backlog_bytes_max: u64,
    /// How fast a rewrite of sparse segments writes at the most. Default 64 MiB per second.
    pub rewrite_bytes_per_second: u64,
}

impl LogConfig {
    /// The defaults, in this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            sync: SyncPolicy::Always,
            backlog_bytes_max: 64 << 20,
            rewrite_bytes_per_second: 64 << 20,
        }
    }
}

/// When the log syncs, and so what its watermark promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before every promise: the watermark is what survives a power cut.
    Always,
    /// This long after the first unsynced write at the latest. The watermark is what has been
    /// given to the operating system: it survives a killed process, and a power cut costs at most
    /// what was promised within the interval.
    Interval(Duration),
    /// When the operating system likes, except before a snapshot or a deletion and at a clean stop.
    /// The watermark is what has been given to the operating system.
    Never,
}
