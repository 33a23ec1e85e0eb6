//! Exchange methods.

use std::sync::Arc;

use leveret_amqp::ServerMethod;
use leveret_amqp::method::exchange::{Bind, Declare, Delete};
use leveret_core::{
    Binding, Destination, ExchangeKind, ExchangeSpec, ResourceKind, Syntax, TopologyCommand,
    TopologyError, strip_cr_lf,
};

use super::refusal::Refusal;
use super::{Amqp, Answer, from_table};

impl Amqp {
    pub(super) fn declare_exchange(
        &mut self,
        channel: u16,
        declare: &Declare<'_>,
    ) -> Result<(), Refusal> {
        let name = strip_cr_lf(declare.exchange);
        let answer = Answer::Plain(ServerMethod::ExchangeDeclareOk);
        if declare.passive {
            let topology = self.node.topology();
            topology.exchange_passively(&self.vhost, &name)?;
            topology.check_any_right(self.actor(), (ResourceKind::Exchange, &name))?;
            drop(topology);
            self.answer(channel, answer, None, declare.no_wait);
            return Ok(());
        }
        let kind: ExchangeKind = declare.kind.parse().map_err(TopologyError::from)?;
        let spec = ExchangeSpec {
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: from_table(declare.arguments),
        };
        self.node.topology().check_declare_exchange(self.actor(), &name, &spec)?;
        let (vhost, name) = (self.vhost.clone(), Arc::from(&*name));
        let commanded = self.node.command(TopologyCommand::DeclareExchange {
            vhost,
            name,
            spec,
            own_queue: None,
        })?;
        self.answer(channel, answer, commanded.promise, declare.no_wait);
        Ok(())
    }

    pub(super) fn delete_exchange(
        &mut self,
        channel: u16,
        delete: &Delete<'_>,
    ) -> Result<(), Refusal> {
        self.node.topology().check_delete_exchange(self.actor(), delete.exchange)?;
        let commanded = self.node.command(TopologyCommand::DeleteExchange {
            vhost: self.vhost.clone(),
            name: delete.exchange.into(),
            if_unused: delete.if_unused,
        })?;
        if commanded.applied.outcome.existed() {
            self.audit_change("exchange.delete", delete.exchange);
        }
        let answer = Answer::Plain(ServerMethod::ExchangeDeleteOk);
        self.answer(channel, answer, commanded.promise, delete.no_wait);
        Ok(())
    }

    pub(super) fn bind_exchange(&mut self, channel: u16, bind: &Bind<'_>) -> Result<(), Refusal> {
        let binding = binding(bind);
        self.node.topology().check_bind(self.actor(), &binding, bind.destination)?;
        let (vhost, subscription) = (self.vhost.clone(), None);
        let command = TopologyCommand::Bind { vhost, binding, subscription };
        let commanded = self.node.command(command)?;
        let answer = Answer::Plain(ServerMethod::ExchangeBindOk);
        self.answer(channel, answer, commanded.promise, bind.no_wait);
        Ok(())
    }

    pub(super) fn unbind_exchange(&mut self, channel: u16, bind: &Bind<'_>) -> Result<(), Refusal> {
        let (vhost, binding) = (self.vhost.clone(), binding(bind));
        self.node.topology().check_bind(self.actor(), &binding, bind.destination)?;
        let command = TopologyCommand::Unbind { vhost, binding };
        let commanded = self.node.command(command)?;
        let answer = Answer::Plain(ServerMethod::ExchangeUnbindOk);
        self.answer(channel, answer, commanded.promise, bind.no_wait);
        Ok(())
    }
}

fn binding(bind: &Bind<'_>) -> Binding {
    Binding {
        source: bind.source.into(),
        destination: Destination::Exchange(bind.destination.into()),
        key: bind.routing_key.into(),
        arguments: from_table(bind.arguments),
        syntax: Syntax::Amqp,
    }
}
