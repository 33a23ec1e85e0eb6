//! Commands about a data directory that no broker works in. They change nothing.
//!
//! The directory is read as a start reads it, so what is shown is what a broker would have.

mod check;
mod dump;
mod progress;

use std::path::Path;
use std::sync::Arc;

use leveret_storage::{Log, Storage};
use tokio::runtime::Handle;

use crate::Config;
use crate::config::Engine;
use crate::server::Node;
use crate::server::recovery::RecoveryError;

pub use check::check;
pub use dump::dump;

/// A command cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// The directory cannot be read.
    #[error(transparent)]
    Storage(#[from] leveret_storage::Error),
    /// What is in it cannot be read.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The engine has no files of ours.
    #[error("only the engine log has files that can be read offline, not {0}")]
    Engine(Engine),
    /// There is no such queue.
    #[error("there is no queue {queue:?} in vhost {vhost:?}")]
    NoQueue {
        /// The vhost.
        vhost: String,
        /// The queue.
        queue: String,
    },
    /// What was found cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

fn open(config: &Config) -> Result<Arc<Log>, OfflineError> {
    match config.storage_engine {
        Engine::Log => Ok(Arc::new(Log::open_read_only(Path::new(&config.data_dir))?)),
        engine => Err(OfflineError::Engine(engine)),
    }
}

/// A node with what is in the journal, and nobody to serve.
fn replayed(config: Config, log: Arc<Log>, runtime: &Handle) -> Result<Arc<Node>, OfflineError> {
    let storage: Arc<dyn Storage> = log;
    let node = Node::new(config, storage, runtime);
    node.replay()?;
    Ok(node)
}
