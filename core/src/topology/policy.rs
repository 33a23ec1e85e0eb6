//! Policies: arguments that an administrator gives to the queues and exchanges of a virtual host that a
//! pattern names, also to those that are there.
//!
//! For each of them one policy is in force, and one operator policy: that of the highest priority, and
//! among equals the first by name. Where a number is said more than once, the least counts. For the rest
//! the argument of the declaration comes before the policy, and the operator policy before both.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy_keys::{self, IS_NUMBER};
use super::queue_arguments;
use super::vhost::Vhost;
use super::{Applied, ExchangeEntry, Outcome, QueueEntry, QueueKind, QueueType, Topology};
use super::{TopologyError, declare};
use crate::QueueSettings;
use crate::pattern::NamePattern;
use crate::value::{Table, Value};

pub use policy_keys::PolicyError;

/// A policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The names that it is for.
    pub pattern: NamePattern,
    /// What it is for.
    #[serde(default)]
    pub apply_to: ApplyTo,
    /// Arguments, without `x-` in front of their names.
    pub definition: Table,
    /// The greatest is in force.
    #[serde(default)]
    pub priority: i64,
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// Queues and exchanges.
    #[default]
    All,
    /// Queues of all types.
    Queues,
    /// Classic queues, and those of MQTT sessions.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams, which there are none of.
    Streams,
    /// Exchanges.
    Exchanges,
}

/// Who has made a policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Somebody who looks after a virtual host.
    #[default]
    User,
    /// Somebody who looks after the broker.
    Operator,
}

/// A text that is no [`ApplyTo`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("apply-to cannot be '{0}'")]
pub struct UnknownApplyTo(pub String);

/// The policies of a virtual host, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Policies {
    user: BTreeMap<Arc<str>, Policy>,
    operator: BTreeMap<Arc<str>, Policy>,
}

/// What policies mean for a queue or an exchange.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InForce {
    /// The name of the policy.
    pub policy: Option<Arc<str>>,
    /// The name of the operator policy.
    pub operator_policy: Option<Arc<str>>,
    /// What both say together.
    pub definition: Table,
    /// That and the arguments of the declaration.
    pub(super) arguments: Table,
}

impl ApplyTo {
    const ALL: [ApplyTo; 6] = [
        ApplyTo::All,
        ApplyTo::Queues,
        ApplyTo::ClassicQueues,
        ApplyTo::QuorumQueues,
        ApplyTo::Streams,
        ApplyTo::Exchanges,
    ];

    /// As the management API names it.
    pub fn name(self) -> &'static str {
        match self {
            ApplyTo::All => "all",
            ApplyTo::Queues => "queues",
            ApplyTo::ClassicQueues => "classic_queues",
            ApplyTo::QuorumQueues => "quorum_queues",
            ApplyTo::Streams => "streams",
            ApplyTo::Exchanges => "exchanges",
        }
    }

    fn includes(self, thing: Thing) -> bool {
        match (self, thing) {
            (ApplyTo::All, _) | (ApplyTo::Exchanges, Thing::Exchange) => true,
            (ApplyTo::Queues, Thing::Queue(_)) => true,
            (ApplyTo::ClassicQueues, Thing::Queue(queue_type)) => queue_type == QueueType::Classic,
            (ApplyTo::QuorumQueues, Thing::Queue(queue_type)) => queue_type == QueueType::Quorum,
            _ => false,
        }
    }
}

impl FromStr for ApplyTo {
    type Err = UnknownApplyTo;

    fn from_str(name: &str) -> Result<Self, UnknownApplyTo> {
        let named = ApplyTo::ALL.into_iter().find(|apply_to| apply_to.name() == name);
        named.ok_or_else(|| UnknownApplyTo(name.to_owned()))
    }
}

#[derive(Debug, Clone, Copy)]
enum Thing {
    Queue(QueueType),
    Exchange,
}

impl Policies {
    fn of(&self, kind: PolicyKind) -> &BTreeMap<Arc<str>, Policy> {
        match kind {
            PolicyKind::User => &self.user,
            PolicyKind::Operator => &self.operator,
        }
    }

    fn of_mut(&mut self, kind: PolicyKind) -> &mut BTreeMap<Arc<str>, Policy> {
        match kind {
            PolicyKind::User => &mut self.user,
            PolicyKind::Operator => &mut self.operator,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PolicyKind, &Arc<str>, &Policy)> {
        let of = |kind| self.of(kind).iter().map(move |(name, policy)| (kind, name, policy));
        of(PolicyKind::User).chain(of(PolicyKind::Operator))
    }

    fn chosen(&self, kind: PolicyKind, name: &str, thing: Thing) -> Option<(&Arc<str>, &Policy)> {
        let fits =
            |policy: &Policy| policy.apply_to.includes(thing) && policy.pattern.matches(name);
        let fitting = self.of(kind).iter().filter(|(_, policy)| fits(policy));
        fitting.min_by_key(|(_, policy)| Reverse(policy.priority))
    }

    /// What is in force for a thing of this name that was declared with these arguments.
    fn in_force(&self, name: &str, thing: Thing, declared: &Table) -> Option<Box<InForce>> {
        let policy = self.chosen(PolicyKind::User, name, thing);
        let operator = self.chosen(PolicyKind::Operator, name, thing);
        if policy.is_none() && operator.is_none() {
            return None;
        }
        let definition = |chosen: Option<(&Arc<str>, &Policy)>| {
            chosen.map(|(_, policy)| policy.definition.clone()).unwrap_or_default()
        };
        let definition = merged(definition(operator), &definition(policy));
        let under_x = |name: &str| match name {
            policy_keys::ALTERNATE_EXCHANGE => name.to_owned(),
            name => format!("x-{name}"),
        };
        let by_operator = operator.map(|(_, policy)| &policy.definition);
        let mut arguments = declared.clone();
        for (name, value) in definition.iter() {
            let is_operators = by_operator.is_some_and(|operator| operator.get(name).is_some());
            merge(&mut arguments, (&under_x(name), name), value, is_operators);
        }
        let name_of = |chosen: Option<(&Arc<str>, &Policy)>| chosen.map(|(name, _)| name.clone());
        let (policy, operator_policy) = (name_of(policy), name_of(operator));
        Some(Box::new(InForce { policy, operator_policy, definition, arguments }))
    }

    pub(super) fn for_exchange(&self, exchange: &ExchangeEntry) -> Option<Box<InForce>> {
        self.in_force(&exchange.name, Thing::Exchange, &exchange.spec.arguments)
    }

    pub(super) fn for_queue(&self, queue: &QueueEntry) -> Option<Box<InForce>> {
        let thing = Thing::Queue(queue.spec.queue_type());
        self.in_force(&queue.name, thing, &queue.spec.arguments)
    }
}

/// What the first says, and the second beside it.
fn merged(mut first: Table, second: &Table) -> Table {
    for (name, value) in second.iter() {
        merge(&mut first, (name, name), value, false);
    }
    first
}

/// Adds a value to a table that may have one already: the lesser number counts, otherwise the new one if
/// it `wins`. A number below 0 is no limit.
fn merge(table: &mut Table, (name, key): (&str, &str), value: &Value, wins: bool) {
    let Some((_, known)) = table.0.iter_mut().find(|(known, _)| known == name) else {
        return table.0.push((name.to_owned(), value.clone()));
    };
    let is_less = || {
        let rank = |value: &Value| value.as_integer().map(|number| (number < 0, number));
        rank(value) < rank(known)
    };
    let replaces = if IS_NUMBER.contains(&key) { is_less() } else { wins };
    if replaces {
        *known = value.clone();
    }
}

impl QueueEntry {
    /// What policies say of it.
    pub fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_deref()
    }

    /// What its shard has to know of it.
    pub fn settings(&self) -> QueueSettings {
        let by_arguments = queue_arguments::settings(self.spec.queue_type(), self.arguments());
        QueueSettings {
            durable: self.spec.is_durable(),
            auto_delete: self.spec.auto_delete,
            dead_letters: by_arguments.dead_letters || self.spec.kind == QueueKind::Delay,
            ..by_arguments
        }
    }

    /// The exchange that gets what is rejected or dropped.
    pub fn dead_letter_exchange(&self) -> Option<&str> {
        self.arguments().get(queue_arguments::DEAD_LETTER_EXCHANGE)?.as_str()
    }

    /// The routing key that it gets it with, in the place of the message's own.
    pub fn dead_letter_key(&self) -> Option<&str> {
        self.arguments().get(queue_arguments::DEAD_LETTER_KEY)?.as_str()
    }

    fn arguments(&self) -> &Table {
        self.in_force.as_ref().map_or(&self.spec.arguments, |in_force| &in_force.arguments)
    }
}

impl ExchangeEntry {
    /// What policies say of it.
    pub fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_deref()
    }

    /// The exchange that gets what this one leads nowhere.
    pub(super) fn alternate(&self) -> Option<&str> {
        let in_force = self.in_force.as_ref().map(|in_force| &in_force.arguments);
        in_force.unwrap_or(&self.spec.arguments).get(declare::ALTERNATE)?.as_str()
    }
}

impl Topology {
    pub(super) fn put_policy(
        &mut self,
        vhost: &str,
        (kind, name): (PolicyKind, Arc<str>),
        policy: Policy,
    ) -> Result<Applied, TopologyError> {
        let inside = super::vhost_mut(&mut self.vhosts, vhost)?;
        policy_keys::check(kind, &policy)?;
        let before = inside.policies.of_mut(kind).insert(name, policy.clone());
        let outcome = match before {
            None => Outcome::Created,
            Some(before) if before == policy => return Ok(Outcome::Unchanged.into()),
            Some(_) => Outcome::Replaced,
        };
        Ok(self.enforce_policies(vhost, outcome))
    }

    pub(super) fn delete_policy(
        &mut self,
        vhost: &str,
        (kind, name): (PolicyKind, &str),
    ) -> Result<Applied, TopologyError> {
        let inside = super::vhost_mut(&mut self.vhosts, vhost)?;
        match inside.policies.of_mut(kind).remove(name) {
            None => Ok(Outcome::Absent.into()),
            Some(_) => Ok(self.enforce_policies(vhost, Outcome::Deleted)),
        }
    }

    /// Asks anew what is in force for everything in a virtual host.
    fn enforce_policies(&mut self, vhost: &str, outcome: Outcome) -> Applied {
        let mut applied = Applied::from(outcome);
        let Some(inside) = self.vhosts.get_mut(vhost) else { return applied };
        let Vhost { policies, exchanges, queue_ids, .. } = inside;
        for exchange in exchanges.values_mut() {
            exchange.in_force = policies.for_exchange(exchange);
        }
        for id in queue_ids.values() {
            let Some(queue) = self.queues.get_mut(id) else { continue };
            let before = queue.settings();
            queue.in_force = policies.for_queue(queue);
            if queue.settings() != before {
                applied.reconfigured_queues.push(*id);
            }
        }
        applied.reconfigured_queues.sort_unstable();
        applied
    }

    /// The policies of a virtual host, by name; none if it does not exist.
    pub fn policies(&self, vhost: &str, kind: PolicyKind) -> impl Iterator<Item = (&str, &Policy)> {
        let inside = self.vhosts.get(vhost);
        let policies = inside.into_iter().flat_map(move |inside| inside.policies.of(kind));
        policies.map(|(name, policy)| (&**name, policy))
    }
}
