//! What operators see of sessions, and how they end one.

use leveret_core::{ConnectionId, Position, QueueId};

use super::{Client, Session, Sessions};
use crate::server::Node;
use crate::server::outbox::{CloseReason, Notice};

/// What management shows of a session.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    /// Whose it is.
    pub client: Client,
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
    pub fn end_session(&self, client: &Client) -> Option<Option<Position>> {
        let mut sessions = self.lock_sessions();
        let session = sessions.remove(client)?;
        if let Some(holder) = &session.holder {
            let reason = "the session was ended by an operator".to_owned();
            holder.outbox.notify(Notice::Close(CloseReason::Operator(reason)));
        }
        self.online.set(session.queue, false);
        if let Some(will) = session.will {
            self.publish_will(&client.vhost, *will);
        }
        Some(self.delete_queue_by_id(session.queue))
    }
}

impl Sessions {
    /// What management shows of those of a virtual host, in no order.
    pub fn facts(&self, vhost: &str) -> Vec<SessionFacts> {
        let of_vhost = self.by_client.iter().filter(|(client, _)| *client.vhost == *vhost);
        of_vhost.map(|(client, session)| session.facts(client)).collect()
    }

    /// What management shows of the session of a client.
    pub fn facts_of(&self, client: &Client) -> Option<SessionFacts> {
        self.by_client.get(client).map(|session| session.facts(client))
    }
}

impl Session {
    fn facts(&self, client: &Client) -> SessionFacts {
        SessionFacts {
            client: client.clone(),
            queue: self.queue,
            connection: self.holder.as_ref().map(|holder| holder.consumer.connection),
            expiry_s: self.expiry_s,
            away_since_ms: self.away_since_ms,
            has_will: self.will.is_some(),
        }
    }
}
