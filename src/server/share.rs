//! Shared subscriptions: which member of a group gets a message.
//!
//! One after the other, among those whose clients are connected; if there is none, among all. What a
//! member has not taken over when its client goes is given to the others, if one is connected.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use leveret_core::{Address, Death, Message, QueueId, Shared, Target};

use super::frontend::headers_of;
use super::routed::Routed;
use super::{Node, random_number};

/// The queues of the sessions whose clients are connected.
#[derive(Debug, Default)]
pub struct Online(RwLock<HashSet<QueueId>>);

impl Online {
    /// A client is connected from now on, or not any more.
    pub fn set(&self, session: QueueId, is_online: bool) {
        let mut online = self.0.write().expect("nothing panics while it holds the set");
        if is_online {
            online.insert(session)
        } else {
            online.remove(&session)
        };
    }

    fn with<R>(&self, look: impl FnOnce(&HashSet<QueueId>) -> R) -> R {
        look(&self.0.read().expect("nothing panics while it holds the set"))
    }

    /// Whether any of them is connected.
    pub fn has_any(&self, sessions: &[QueueId]) -> bool {
        self.with(|online| sessions.iter().any(|session| online.contains(session)))
    }
}

/// The members of a group, and whose turn it is.
#[derive(Debug)]
pub struct Group {
    /// One at least.
    members: Vec<Target>,
    turn: AtomicUsize,
}

impl Group {
    /// A group that begins with any of its members.
    pub fn new(shared: &Shared) -> Self {
        let turn = AtomicUsize::new(random_number() as usize);
        Group { members: shared.members.clone(), turn }
    }

    /// Who gets the next message.
    pub fn choose(&self, online: &Online) -> Target {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = online.with(|online| {
            let present = || self.members.iter().filter(|member| online.contains(&member.queue));
            let nth = turn.checked_rem(present().count())?;
            present().nth(nth)
        });
        chosen.unwrap_or(&self.members[turn % self.members.len()]).clone()
    }
}

impl Node {
    /// A message that a member of a group has left, for another one.
    pub(super) fn handed_on(
        &self,
        death: &Death,
        message: Arc<Message>,
    ) -> Option<(Arc<Message>, Arc<Routed>)> {
        let share = death.share.as_ref()?;
        let topology = self.topology();
        let (exchange, key) = (message.exchange(), message.routing_key());
        // All sessions are there; that of the member may have ended.
        let address = Address { vhost: &share.vhost, exchange, key, random: random_number() };
        let routes = topology.route(address, &*headers_of(&message), None).ok()?;
        let shared = routes.shared.iter().find(|shared| shared.share == *share)?;
        let target = Group::new(shared).choose(&self.online);
        let routed = Routed::to(target, self.shard_count());
        Some((message, Arc::new(routed)))
    }
}
