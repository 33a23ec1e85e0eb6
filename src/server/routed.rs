//! Where a message goes: the routes of the topology, arranged for the shards that will place it.

use std::sync::Arc;

use leveret_core::{Delayed, ExchangeTraffic, Facts, Message, Routes, ShardId, Target};
use smallvec::SmallVec;

use super::Node;
use super::share::Group;

/// Where a message goes, grouped by shard.
#[derive(Debug, Default)]
pub struct Routed {
    pub(super) by_shard: SmallVec<[(ShardId, SmallVec<[Target; 1]>); 1]>,
    /// Queues in which it waits until an exchange routes it once more.
    pub(super) delayed: Vec<Delayed>,
    /// Of each, one more queue gets it.
    pub(super) groups: Vec<Group>,
    /// How many queues get it, those included in which it waits first.
    pub copies: usize,
    /// What the exchange has counted.
    pub(super) traffic: Option<Arc<ExchangeTraffic>>,
}

impl Routed {
    /// To one queue.
    pub fn to(target: Target, shards: u16) -> Self {
        let mut routed = Routed::default();
        routed.push(target, shards);
        routed
    }

    /// Groups routes by the shards of their queues.
    pub fn group(routes: &Routes, shards: u16) -> Self {
        let delayed = routes.delayed.clone();
        let groups = routes.shared.iter().map(Group::new).collect();
        let copies = delayed.len();
        let mut routed = Routed { delayed, groups, copies, ..Routed::default() };
        routes.targets.iter().for_each(|target| routed.push(target.clone(), shards));
        routed
    }

    /// The way of one message: with a member of each group.
    pub fn choose(self: Arc<Self>, node: &Node) -> Arc<Self> {
        if self.groups.is_empty() {
            return self;
        }
        let (by_shard, delayed) = (self.by_shard.clone(), self.delayed.clone());
        let (groups, copies, traffic) = (Vec::new(), self.copies, self.traffic.clone());
        let mut routed = Routed { by_shard, delayed, groups, copies, traffic };
        for group in &self.groups {
            routed.push(group.choose(&node.online), node.shard_count());
        }
        Arc::new(routed)
    }

    pub(super) fn push(&mut self, target: Target, shards: u16) {
        let shard = target.queue.shard(shards);
        self.copies += 1;
        match self.by_shard.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, targets)) => targets.push(target),
            None => self.by_shard.push((shard, SmallVec::from_iter([target]))),
        }
    }

    /// A message as it goes to queues at once, if it does, and then as it waits in others: there it
    /// expires when its time has come.
    pub fn split(
        &self,
        message: &Arc<Message>,
        shards: u16,
    ) -> impl Iterator<Item = (Arc<Message>, Arc<Routed>)> {
        let at_once = (!self.by_shard.is_empty()).then(|| {
            let by_shard = self.by_shard.clone();
            let copies = self.copies - self.delayed.len();
            (message.clone(), Arc::new(Routed { by_shard, copies, ..Routed::default() }))
        });
        let delayed = self.delayed.iter().map(move |&Delayed { queue, durable, delay_ms }| {
            let facts = message.facts();
            let expires_at_ms = Some(facts.timestamp_ms.saturating_add(delay_ms));
            let waiting = (**message).clone().with_facts(Facts { expires_at_ms, ..facts });
            let target = Target { queue, durable, ..Target::default() };
            (Arc::new(waiting), Arc::new(Routed::to(target, shards)))
        });
        at_once.into_iter().chain(delayed)
    }

    /// Whether no queue gets it.
    pub fn is_empty(&self) -> bool {
        self.by_shard.is_empty() && self.delayed.is_empty()
    }

    /// The shards that get it, each with its queues.
    pub fn parts(&self) -> impl Iterator<Item = (ShardId, &[Target])> {
        self.by_shard.iter().map(|(shard, targets)| (*shard, &targets[..]))
    }

    /// How many queues get it.
    pub fn len(&self) -> usize {
        self.by_shard.iter().map(|(_, targets)| targets.len()).sum()
    }

    /// Whether any of them is durable.
    pub fn is_durable(&self) -> bool {
        self.by_shard.iter().any(|(_, targets)| targets.iter().any(|target| target.durable))
    }

    /// How many shards will record the message.
    pub(super) fn durable_shards(&self, message: &Message) -> u16 {
        let records = |target: &Target| {
            let granted = target.subscription.as_ref().map_or(1, |subscription| subscription.qos);
            target.durable && granted.min(message.facts().qos) > 0
        };
        self.by_shard.iter().filter(|(_, targets)| targets.iter().any(records)).count() as u16
    }
}
