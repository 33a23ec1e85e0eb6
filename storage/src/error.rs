//! What can go wrong with a data directory, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leveret_core::Position;

/// An error of a storage engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Configuration: another process works in the directory.
    #[error("data directory {} is in use by another leveret (pid {pid}); stop it, or choose another directory", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other process, as its lock file names it.
        pid: String,
    },
    /// Configuration: a newer version of the broker has written the directory.
    #[error("{} has format {found}, this leveret reads up to format {supported}; start the newer version again", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format this version reads.
        supported: u32,
    },
    /// Configuration: the directory cannot be created or written.
    #[error("data directory {} cannot be used: {source}; check that it exists and that this user may write there", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Configuration: the directory has an identity file that is not one.
    #[error("{} is not an identity file of leveret; restore it, or remove it to give the node a new identity", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
    },
    /// Configuration: another engine has written the directory.
    #[error("data directory {} was written by the engine {found}, not {configured}; configure {found}, or choose another directory", dir.display())]
    OtherEngine {
        /// The directory.
        dir: PathBuf,
        /// The engine that wrote it.
        found: String,
        /// The engine that was to open it.
        configured: &'static str,
    },
    /// Disk: an operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Disk: what stands at the position is not a whole record.
    #[error("the record at {} is damaged", at.0)]
    Damaged {
        /// The position.
        at: Position,
    },
    /// Caller: no record is at the position any more.
    #[error("the record at {} is gone, its segment was deleted", at.0)]
    Gone {
        /// The position.
        at: Position,
    },
    /// Disk: the journal stopped earlier, for the reason inside.
    #[error("the journal has stopped: {0}")]
    Failed(Arc<Error>),
    /// Caller: the journal is closed.
    #[error("the journal is closed")]
    Closed,
    /// Engine: the database behind the engine refuses.
    #[error("the storage engine failed: {0}")]
    Engine(String),
}

impl Error {
    /// For `map_err`: what was tried, on which file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
