//! Queue methods.

use leveret_amqp::method::queue::{Bind, Declare, Delete, Purge, Unbind};
use leveret_amqp::{ReplyCode, ServerMethod, Table};
use leveret_core::{
    Binding, Destination, QueueId, QueueSpec, QueueStats, ResourceKind, Right, Syntax,
    TopologyCommand, strip_cr_lf,
};

use super::refusal::Refusal;
use super::{Amqp, Answer, from_table, reply_to};
use crate::server::audit::Change;
use crate::server::control::DeleteIf;

impl Amqp {
    pub(super) fn declare_queue(
        &mut self,
        channel: u16,
        declare: &Declare<'_>,
    ) -> Result<(), Refusal> {
        let given = strip_cr_lf(declare.queue);
        let is_generated = given.is_empty();
        let name = if !is_generated {
            given.into_owned()
        } else if declare.passive {
            self.last_queue(channel)?.to_owned()
        } else {
            let made_up = || self.node.unique_name("amq.gen-");
            self.made_up_name.get_or_insert_with(made_up).clone()
        };
        let (id, promise) = if declare.passive {
            let topology = self.node.topology();
            let id = topology.queue_for(&self.vhost, &name, self.peer.id)?.id;
            topology.check_any_right(self.actor(), (ResourceKind::Queue, &name))?;
            (id, self.node.last_control())
        } else {
            let spec = QueueSpec {
                durable: declare.durable,
                exclusive: declare.exclusive.then_some(self.peer.id),
                auto_delete: declare.auto_delete,
                arguments: from_table(declare.arguments),
                ..QueueSpec::default()
            };
            self.node.topology().check_declare_queue(self.actor(), &name, &spec)?;
            let (id, commanded) =
                self.node.declare_queue(&self.vhost, &name, spec, is_generated)?;
            (id, commanded.promise)
        };
        let QueueStats { ready, consumers, .. } = self.node.queue_stats(id);
        self.channel(channel).last_queue = name.as_str().into();
        let answer = Answer::QueueDeclared {
            queue: name.into(),
            messages: count(ready),
            consumers: count(consumers),
        };
        self.answer(channel, answer, promise, declare.no_wait);
        Ok(())
    }

    pub(super) fn bind_queue(&mut self, channel: u16, bind: &Bind<'_>) -> Result<(), Refusal> {
        let ends = Ends { queue: bind.queue, exchange: bind.exchange, key: bind.routing_key };
        let binding = self.binding(channel, &ends, bind.arguments)?;
        let (vhost, subscription) = (self.vhost.clone(), None);
        let command = TopologyCommand::Bind { vhost, binding, subscription };
        let commanded = self.node.command(command)?;
        let answer = Answer::Plain(ServerMethod::QueueBindOk);
        self.answer(channel, answer, commanded.promise, bind.no_wait);
        Ok(())
    }

    pub(super) fn unbind_queue(
        &mut self,
        channel: u16,
        unbind: &Unbind<'_>,
    ) -> Result<(), Refusal> {
        let ends = Ends { queue: unbind.queue, exchange: unbind.exchange, key: unbind.routing_key };
        let mut promise = None;
        match self.binding(channel, &ends, unbind.arguments) {
            Ok(binding) => {
                let vhost = self.vhost.clone();
                promise = self.node.command(TopologyCommand::Unbind { vhost, binding })?.promise;
            }
            // What is not there needs no unbinding.
            Err(refusal) if refusal.code == ReplyCode::NotFound => {}
            Err(refusal) => return Err(refusal),
        }
        self.answer(channel, Answer::Plain(ServerMethod::QueueUnbindOk), promise, false);
        Ok(())
    }

    pub(super) fn purge_queue(&mut self, channel: u16, purge: &Purge<'_>) -> Result<(), Refusal> {
        let id = self.find_queue_to_read(channel, purge.queue)?;
        let (messages, promise) = self.node.purge_queue(id);
        let name = self.queue_name(channel, purge.queue)?;
        self.audit_change("queue.purge", &name);
        let method = ServerMethod::QueuePurgeOk { message_count: count(messages) };
        self.answer(channel, Answer::Plain(method), promise, purge.no_wait);
        Ok(())
    }

    pub(super) fn delete_queue(
        &mut self,
        channel: u16,
        delete: &Delete<'_>,
    ) -> Result<(), Refusal> {
        let name = self.queue_name(channel, delete.queue)?;
        self.node.topology().check_queue_right(self.actor(), Right::Configure, &name)?;
        let only = DeleteIf { unused: delete.if_unused, empty: delete.if_empty };
        let deleted = self.node.delete_queue(&self.vhost, &name, self.peer.id, only);
        let (messages, promise) = match deleted.map_err(Refusal::from) {
            Ok(commanded) => {
                self.audit_change("queue.delete", &name);
                (commanded.messages, commanded.promise)
            }
            Err(refusal) if refusal.code == ReplyCode::NotFound => (0, None),
            Err(refusal) => return Err(refusal),
        };
        let method = ServerMethod::QueueDeleteOk { message_count: count(messages) };
        self.answer(channel, Answer::Plain(method), promise, delete.no_wait);
        Ok(())
    }

    /// Something that cannot be undone was done.
    pub(super) fn audit_change(&self, action: &'static str, name: &str) {
        let change = Change { action, vhost: &self.vhost, name };
        self.node.audit_change(&self.peer, &self.identity.user, change);
    }

    /// A queue that this connection may take messages from; the empty name is the one that was last
    /// declared.
    pub(super) fn find_queue_to_read(
        &mut self,
        channel: u16,
        name: &str,
    ) -> Result<QueueId, Refusal> {
        let name = self.queue_name(channel, name)?;
        let topology = self.node.topology();
        topology.check_queue_right(self.actor(), Right::Read, &name)?;
        Ok(topology.queue_for(&self.vhost, &name, self.peer.id)?.id)
    }

    fn queue_name(&mut self, channel: u16, name: &str) -> Result<String, Refusal> {
        if name.is_empty() {
            return self.last_queue(channel).map(str::to_owned);
        }
        Ok(name.to_owned())
    }

    fn last_queue(&mut self, channel: u16) -> Result<&str, Refusal> {
        let last = &*self.channel(channel).last_queue;
        if last.is_empty() {
            let (code, text) = (ReplyCode::NotFound, "no previously declared queue".to_owned());
            return Err(Refusal { code, text });
        }
        Ok(last)
    }

    /// The exchange is looked for first. Without a queue and a key, the key is the name of the queue
    /// that was last declared.
    fn binding(
        &mut self,
        channel: u16,
        ends: &Ends<'_>,
        arguments: Table<'_>,
    ) -> Result<Binding, Refusal> {
        let name = self.queue_name(channel, ends.queue)?;
        reply_to::check_binding(&name)?;
        let is_named = !ends.queue.is_empty() || !ends.key.is_empty();
        let mut binding = Binding {
            source: ends.exchange.into(),
            destination: Destination::Queue(NO_QUEUE),
            key: if is_named { ends.key } else { &name }.into(),
            arguments: from_table(arguments),
            syntax: Syntax::Amqp,
        };
        let topology = self.node.topology();
        topology.check_bind(self.actor(), &binding, &name)?;
        topology.exchange(&self.vhost, ends.exchange)?;
        let queue = topology.queue_for(&self.vhost, &name, self.peer.id)?.id;
        binding.destination = Destination::Queue(queue);
        Ok(binding)
    }
}

/// Stands in a binding for the queue while it is not known.
const NO_QUEUE: QueueId = QueueId(0);

struct Ends<'a> {
    queue: &'a str,
    exchange: &'a str,
    key: &'a str,
}

/// A count as the wire has it.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
