//! How far the disk has followed, published to whoever waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_core::Position;
use tokio::sync::watch;

use crate::{Durability, Error};

/// The durable position: it grows until the journal fails, then it stands still for good.
#[derive(Debug)]
pub(crate) struct Watermark {
    through: AtomicU64,
    sender: watch::Sender<Durability>,
}

impl Watermark {
    pub(crate) fn new() -> Self {
        Self { through: AtomicU64::new(0), sender: watch::Sender::new(Durability::default()) }
    }

    pub(crate) fn position(&self) -> Position {
        Position(self.through.load(Ordering::Acquire))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Durability> {
        self.sender.subscribe()
    }

    /// Moves the watermark to `through`, unless it is there or the journal has failed.
    pub(crate) fn advance(&self, through: u64) {
        self.sender.send_if_modified(|durability| {
            let moves = durability.failed.is_none() && durability.through.0 < through;
            if moves {
                durability.through = Position(through);
                self.through.store(through, Ordering::Release);
            }
            moves
        });
    }

    /// Stops the watermark; the first reason stays.
    pub(crate) fn fail(&self, error: Arc<Error>) {
        self.sender.send_modify(|durability| {
            durability.failed.get_or_insert(error);
        });
    }

    pub(crate) fn failed(&self) -> Option<Arc<Error>> {
        self.sender.borrow().failed.clone()
    }
}
