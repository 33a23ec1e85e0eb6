//! What operators see of sessions, and how they end one.

use std::sync::Arc;

use leveret_core::{ConnectionId, Position, QueueId};

use super::{Session, Sessions};
use crate::server::Node;
use crate::server::outbox::{CloseReason, Notice};

/// What management shows of a session.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    /// The client identifier.
    pub client_id: Arc<str>,
    /// Its queue.
    pub queue: QueueId,
    /// The connection of its client, while it has one.
    pub connection: Option<ConnectionId>,
    /// How long it is kept without its client, in seconds; [`NEVER`] is for ever.
    pub expiry_s: u32,
    /// Since when its client is away, in milliseconds since the Unix epoch.
    pub away_since_ms: Option<u64>,
    /// Whether a will waits.
    pub has_will: bool,
}

impl Node {
    /// Ends a session, because an operator wants it: its client has to go, too. Gives what has to be
    /// durable; `None` if there is no such session.
    pub fn end_session(&self, client_id: &str) -> Option<Option<Position>> {
        let mut sessions = self.lock_sessions();
        let session = sessions.remove(client_id)?;
        if let Some(holder) = &session.holder {
            let reason = "the session was ended by an operator".to_owned();
            holder.outbox.notify(Notice::Close(CloseReason::Operator(reason)));
        }
        self.online.set(session.queue, false);
        if let Some(will) = session.will {
            self.publish_will(*will);
        }
        Some(self.delete_queue_by_id(session.queue))
    }
}

impl Sessions {
    /// What management shows of all of them, in no order.
    pub fn facts(&self) -> Vec<SessionFacts> {
        self.by_client.iter().map(|(client_id, session)| session.facts(client_id)).collect()
    }

    /// What management shows of the session of a client.
    pub fn facts_of(&self, client_id: &str) -> Option<SessionFacts> {
        let (client_id, session) = self.by_client.get_key_value(client_id)?;
        Some(session.facts(client_id))
    }
}

impl Session {
    fn facts(&self, client_id: &Arc<str>) -> SessionFacts {
        SessionFacts {
            client_id: client_id.clone(),
            queue: self.queue,
            connection: self.holder.as_ref().map(|holder| holder.consumer.connection),
            expiry_s: self.expiry_s,
            away_since_ms: self.away_since_ms,
            has_will: self.will.is_some(),
        }
    }
}
