//! What a command did.

use std::sync::Arc;

use super::TopologyCommand;
use crate::id::QueueId;

/// The answer to a command that was not refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// What happened to the thing that the command names.
    pub outcome: Outcome,
    /// The queue that was declared, whether it is new or was there.
    pub queue: Option<QueueId>,
    /// Queues that are gone, in the order of their ids.
    pub deleted_queues: Vec<QueueId>,
    /// The queue of what an exchange remembers, if a new destination is to get that.
    pub recalled_from: Option<QueueId>,
    /// Queues whose settings are others now, in the order of their ids.
    pub reconfigured_queues: Vec<QueueId>,
    /// Exchanges that are gone: the one that was deleted, then auto-delete ones that followed it.
    pub deleted_exchanges: Vec<Arc<str>>,
    /// What the journal has to hold so that [`Topology::replay`](super::Topology::replay) leads to
    /// the same durable topology: the command itself, if it changed something durable, and its
    /// durable consequences.
    pub journal: Vec<TopologyCommand>,
}

/// What happened to the thing that a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and has other properties now.
    Replaced,
    /// It was there, and equal.
    Unchanged,
    /// It is gone.
    Deleted,
    /// It was not there, and is not now.
    Absent,
}

impl Outcome {
    /// Whether anything is different now.
    pub fn is_change(self) -> bool {
        matches!(self, Outcome::Created | Outcome::Replaced | Outcome::Deleted)
    }

    /// Whether the thing was there before.
    pub fn existed(self) -> bool {
        matches!(self, Outcome::Replaced | Outcome::Unchanged | Outcome::Deleted)
    }
}

impl From<Outcome> for Applied {
    fn from(outcome: Outcome) -> Self {
        Applied {
            outcome,
            queue: None,
            deleted_queues: Vec::new(),
            recalled_from: None,
            reconfigured_queues: Vec::new(),
            deleted_exchanges: Vec::new(),
            journal: Vec::new(),
        }
    }
}

impl Applied {
    pub(super) fn queue(outcome: Outcome, id: QueueId) -> Self {
        Applied { queue: Some(id), ..outcome.into() }
    }
}
