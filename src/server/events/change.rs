//! What a command does to the topology, as events. What goes is looked at before it is gone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use leveret_core::{
    Applied, Binding, BindingEntry, Destination, Outcome, Policy, QueueEntry, QueueId, Table,
    Topology, TopologyCommand, Value,
};

use super::Event;

/// A command that is about to be carried out.
pub struct Change {
    command: TopologyCommand,
    /// Where bindings go, and exchanges with them.
    vhost: Option<Arc<str>>,
    queues: Vec<(QueueId, Event)>,
    bindings: Vec<Loss>,
}

/// A binding that goes.
struct Loss {
    /// Only if this exchange does, which is its destination.
    with: Option<Arc<str>>,
    event: Event,
}

impl Change {
    /// What the command is about to change.
    pub fn of(topology: &Topology, command: &TopologyCommand) -> Self {
        let (queues, bindings) = (Vec::new(), Vec::new());
        let mut change = Change { command: command.clone(), vhost: None, queues, bindings };
        match command {
            TopologyCommand::DeleteQueue { id } => {
                let Some(queue) = topology.queue_by_id(*id) else { return change };
                change.queues.push((*id, queue_deleted(queue)));
                let bindings = topology.bindings_of_queue(*id);
                let explicit = bindings.into_iter().filter(|binding| !binding.source.is_empty());
                change.lose(topology, &queue.vhost, explicit.collect());
            }
            TopologyCommand::DeleteExchange { vhost, name, .. } => {
                let mut bindings = topology.bindings_to(vhost, name);
                bindings.retain(|binding| binding.source != &**name);
                bindings.extend(topology.bindings_from(vhost, name));
                change.lose(topology, vhost, bindings);
            }
            TopologyCommand::Unbind { vhost, binding } => {
                let bindings = topology.bindings_from(vhost, &binding.source);
                change.lose(topology, vhost, bindings.into_iter().filter(is(binding)).collect());
            }
            TopologyCommand::DeleteVhost { vhost } => {
                let queues = topology.queues(vhost).into_iter();
                change.queues.extend(queues.map(|queue| (queue.id, queue_deleted(queue))));
            }
            _ => {}
        }
        change
    }

    /// Notes bindings that go, and those that lead to auto-delete exchanges that may go with them.
    fn lose(&mut self, topology: &Topology, vhost: &str, bindings: Vec<BindingEntry<'_>>) {
        self.vhost = Some(vhost.into());
        let mut seen = BTreeSet::new();
        let mut upstream = VecDeque::new();
        for binding in bindings {
            upstream.push_back(binding.source);
            let event = binding_event("binding.deleted", vhost, &binding);
            self.bindings.push(Loss { with: None, event });
        }
        while let Some(source) = upstream.pop_front() {
            let goes = topology.exchange(vhost, source).is_ok_and(|it| it.spec.auto_delete);
            if !goes || !seen.insert(source) {
                continue;
            }
            for binding in topology.bindings_to(vhost, source) {
                upstream.push_back(binding.source);
                let event = binding_event("binding.deleted", vhost, &binding);
                self.bindings.push(Loss { with: Some(source.into()), event });
            }
        }
    }

    /// What has happened, now that the command is carried out.
    pub fn events(self, topology: &Topology, applied: &Applied) -> Vec<Event> {
        let mut events = Vec::new();
        if !applied.outcome.is_change() {
            return events;
        }
        let gone = &applied.deleted_exchanges;
        let is_lost = |loss: &Loss| loss.with.as_ref().is_none_or(|with| gone.contains(with));
        events.extend(self.bindings.into_iter().filter(is_lost).map(|loss| loss.event));
        let is_deleted = |(id, _): &(QueueId, Event)| applied.deleted_queues.contains(id);
        events.extend(self.queues.into_iter().filter(is_deleted).map(|(_, event)| event));
        if let Some(vhost) = &self.vhost {
            events.extend(gone.iter().map(|name| {
                Event::new("exchange.deleted", [("name", text(name)), ("vhost", text(vhost))])
            }));
        }
        if let Some(id) = applied.queue.filter(|_| applied.outcome == Outcome::Created) {
            events.extend(topology.queue_by_id(id).and_then(queue_created));
        }
        add_own(&mut events, &self.command, topology, applied);
        events
    }
}

/// What a command is about itself, as far as that is not a queue, nor anything that goes with another.
fn add_own(
    events: &mut Vec<Event>,
    command: &TopologyCommand,
    topology: &Topology,
    applied: &Applied,
) {
    use TopologyCommand as Command;
    let is_new = applied.outcome == Outcome::Created;
    let of_vhost = |vhost: &str| ("vhost", text(vhost));
    let event = match command {
        Command::DeclareVhost { vhost } => Event::new("vhost.created", [("name", text(vhost))]),
        Command::DeleteVhost { vhost } => Event::new("vhost.deleted", [("name", text(vhost))]),
        Command::DeclareExchange { vhost, name, spec, .. } => {
            let properties = [
                ("name", text(name)),
                ("type", text(spec.kind.name())),
                ("durable", spec.durable.into()),
                ("auto_delete", spec.auto_delete.into()),
                ("internal", spec.internal.into()),
                ("arguments", Value::Table(spec.arguments.clone())),
                of_vhost(vhost),
            ];
            Event::new("exchange.created", properties)
        }
        Command::Bind { vhost, binding, .. } if is_new => {
            let bindings = topology.bindings_from(vhost, &binding.source);
            let Some(entry) = bindings.into_iter().find(is(binding)) else { return };
            binding_event("binding.created", vhost, &entry)
        }
        Command::PutUser { name, tags, .. } => {
            let key = if is_new { "user.created" } else { "user.password.changed" };
            events.push(Event::new(key, [("name", text(name))]));
            let tags = Value::Array(tags.iter().map(|tag| text(tag)).collect());
            Event::new("user.tags.set", [("name", text(name)), ("tags", tags)])
        }
        Command::DeleteUser { name } => Event::new("user.deleted", [("name", text(name))]),
        Command::SetPermissions { user, vhost, permissions } => {
            let properties = [
                ("user", text(user)),
                of_vhost(vhost),
                ("configure", text(permissions.configure.as_str())),
                ("write", text(permissions.write.as_str())),
                ("read", text(permissions.read.as_str())),
            ];
            Event::new("permission.created", properties)
        }
        Command::ClearPermissions { user, vhost } => {
            Event::new("permission.deleted", [("user", text(user)), of_vhost(vhost)])
        }
        Command::SetTopicPermissions { user, vhost, exchange, permissions } => {
            let properties = [
                ("user", text(user)),
                of_vhost(vhost),
                ("exchange", text(exchange)),
                ("write", text(permissions.write.as_str())),
                ("read", text(permissions.read.as_str())),
            ];
            Event::new("topic.permission.created", properties)
        }
        Command::ClearTopicPermissions { user, vhost, exchange } => {
            let exchange = exchange.iter().map(|exchange| ("exchange", text(exchange)));
            let properties = [("user", text(user)), of_vhost(vhost)].into_iter().chain(exchange);
            Event::new("topic.permission.deleted", properties)
        }
        Command::PutPolicy { vhost, name, policy, .. } => {
            let name = [of_vhost(vhost), ("name", text(name))];
            Event::new("policy.set", name.into_iter().chain(about_policy(policy)))
        }
        Command::DeletePolicy { vhost, name, .. } => {
            Event::new("policy.cleared", [of_vhost(vhost), ("name", text(name))])
        }
        Command::Bind { .. }
        | Command::Unbind { .. }
        | Command::DeclareQueue { .. }
        | Command::DeleteQueue { .. }
        | Command::DeleteExchange { .. }
        | Command::SetSessionExpiry { .. }
        | Command::DescribeVhost { .. }
        | Command::SetVhostLimit { .. }
        | Command::ClearVhostLimit { .. }
        | Command::SetUserLimit { .. }
        | Command::ClearUserLimit { .. }
        | Command::SetParameter { .. }
        | Command::ClearParameter { .. }
        | Command::SetSecret { .. }
        | Command::ReserveQueueIds { .. } => return,
    };
    events.push(event);
}

fn about_policy(policy: &Policy) -> [(&'static str, Value); 4] {
    [
        ("pattern", text(policy.pattern.as_str())),
        ("apply-to", text(policy.apply_to.name())),
        ("definition", Value::Table(policy.definition.clone())),
        ("priority", policy.priority.into()),
    ]
}

/// `None` for what is no queue to its clients.
fn queue_created(queue: &QueueEntry) -> Option<Event> {
    let spec = &queue.spec;
    (spec.kind != leveret_core::QueueKind::Delay).then(|| {
        let properties = [
            ("name", text(&queue.name)),
            ("durable", spec.durable.into()),
            ("auto_delete", spec.auto_delete.into()),
            ("exclusive", spec.exclusive.is_some().into()),
            ("arguments", Value::Table(spec.arguments.clone())),
            ("vhost", text(&queue.vhost)),
        ];
        Event::new("queue.created", properties)
    })
}

fn queue_deleted(queue: &QueueEntry) -> Event {
    Event::new("queue.deleted", [("name", text(&queue.name)), ("vhost", text(&queue.vhost))])
}

fn binding_event(key: &'static str, vhost: &str, binding: &BindingEntry<'_>) -> Event {
    let kind = match binding.destination {
        Destination::Queue(_) => "queue",
        Destination::Exchange(_) => "exchange",
    };
    let arguments: Table = binding.arguments.clone();
    let properties = [
        ("source_name", text(binding.source)),
        ("source_kind", text("exchange")),
        ("destination_name", text(binding.destination_name)),
        ("destination_kind", text(kind)),
        ("routing_key", text(binding.key)),
        ("arguments", Value::Table(arguments)),
        ("vhost", text(vhost)),
    ];
    Event::new(key, properties)
}

/// Whether an entry is the one of a binding.
fn is(binding: &Binding) -> impl Fn(&BindingEntry<'_>) -> bool {
    |entry| {
        entry.destination == binding.destination
            && entry.key == &*binding.key
            && entry.syntax == binding.syntax
            && entry.arguments.is_equivalent(&binding.arguments)
    }
}

fn text(text: &str) -> Value {
    Value::from(text)
}
