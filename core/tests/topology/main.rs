//! The topology through its public API: what it refuses and in which words, what follows from what,
//! where messages go, and that the journal and snapshots bring all of it back.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod access;
mod bind;
mod declare;
mod delayed;
mod delete;
mod limits;
mod listing;
mod match_properties;
mod one_of_many;
mod policy;
mod replay;
mod route;
mod scale;
mod state_properties;

use leveret_core::{
    Address, Applied, Binding, Destination, ExchangeKind, ExchangeSpec, QueueId, QueueSpec, Routes,
    SubscriptionOptions, Syntax, Table, Topology, TopologyCommand, TopologyError, Value,
};

const VHOST: &str = "/";

/// A topology with the virtual host `/`, and shorthand for what tests do with it.
struct Fixture {
    topology: Topology,
}

fn filter_of(queue: QueueId, filter: &str) -> Binding {
    Binding { syntax: Syntax::Mqtt, ..Binding::to_queue("amq.topic", queue, filter) }
}

impl Fixture {
    fn new() -> Self {
        let mut topology = Topology::default();
        topology.apply(TopologyCommand::DeclareVhost { vhost: VHOST.into() }).unwrap();
        Fixture { topology }
    }

    fn apply(&mut self, command: TopologyCommand) -> Result<Applied, TopologyError> {
        self.topology.apply(command)
    }

    fn refusal(&mut self, command: TopologyCommand) -> String {
        self.apply(command).expect_err("a refusal").to_string()
    }

    fn exchange(&mut self, name: &str, kind: ExchangeKind) {
        self.apply(declare_exchange(name, ExchangeSpec::durable(kind))).unwrap();
    }

    fn auto_delete_exchange(&mut self, name: &str, durable: bool) {
        let spec = ExchangeSpec {
            auto_delete: true,
            durable,
            ..ExchangeSpec::transient(ExchangeKind::Fanout)
        };
        self.apply(declare_exchange(name, spec)).unwrap();
    }

    fn queue(&mut self, name: &str) -> QueueId {
        self.queue_with(name, QueueSpec { durable: true, ..QueueSpec::default() })
    }

    fn queue_with(&mut self, name: &str, spec: QueueSpec) -> QueueId {
        let command = self.declare_queue(name, spec);
        self.apply(command).unwrap().queue.unwrap()
    }

    fn declare_queue(&self, name: &str, spec: QueueSpec) -> TopologyCommand {
        TopologyCommand::DeclareQueue {
            id: self.topology.next_queue_id(),
            vhost: VHOST.into(),
            name: name.into(),
            spec,
            server_named: false,
        }
    }

    fn bind(&mut self, source: &str, queue: QueueId, key: &str) -> Applied {
        self.apply(bind(Binding::to_queue(source, queue, key))).unwrap()
    }

    fn bind_exchange(&mut self, source: &str, destination: &str, key: &str) -> Applied {
        self.apply(bind(between(source, destination, key))).unwrap()
    }

    fn subscribe(&mut self, queue: QueueId, filter: &str, options: SubscriptionOptions) -> Applied {
        self.subscribe_to(filter_of(queue, filter), options)
    }

    fn share(&mut self, queue: QueueId, filter: &str, name: &str, options: SubscriptionOptions) {
        self.subscribe_to(filter_of(queue, filter).share_as(name), options);
    }

    fn subscribe_to(&mut self, binding: Binding, options: SubscriptionOptions) -> Applied {
        let subscription = Some(options);
        self.apply(TopologyCommand::Bind { vhost: VHOST.into(), binding, subscription }).unwrap()
    }

    fn route(&self, exchange: &str, key: &str) -> Routes {
        self.topology.route(address(exchange, key), &Table::default(), None).unwrap()
    }

    fn queues_routed(&self, exchange: &str, key: &str) -> Vec<u64> {
        self.route(exchange, key).targets.iter().map(|target| target.queue.0).collect()
    }

    fn has_exchange(&self, name: &str) -> bool {
        self.topology.exchange(VHOST, name).is_ok()
    }
}

fn address<'a>(exchange: &'a str, key: &'a str) -> Address<'a> {
    Address { vhost: VHOST, exchange, key, random: 0 }
}

fn declare_exchange(name: &str, spec: ExchangeSpec) -> TopologyCommand {
    let (vhost, name) = (VHOST.into(), name.into());
    TopologyCommand::DeclareExchange { vhost, name, spec, own_queue: None }
}

fn delete_exchange(name: &str) -> TopologyCommand {
    TopologyCommand::DeleteExchange { vhost: VHOST.into(), name: name.into(), if_unused: false }
}

fn between(source: &str, destination: &str, key: &str) -> Binding {
    Binding {
        destination: Destination::Exchange(destination.into()),
        ..Binding::to_queue(source, QueueId(0), key)
    }
}

fn bind(binding: Binding) -> TopologyCommand {
    TopologyCommand::Bind { vhost: VHOST.into(), binding, subscription: None }
}

fn unbind(binding: Binding) -> TopologyCommand {
    TopologyCommand::Unbind { vhost: VHOST.into(), binding }
}

fn table<const N: usize>(pairs: [(&str, Value); N]) -> Table {
    pairs.into_iter().collect()
}
