//! Exchanges: lists, single ones, declare and delete.

use std::sync::Arc;

use leveret_core::{
    ExchangeEntry, ExchangeKind, ExchangeSpec, Right, TopologyCommand, TopologyError,
};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::queues::no_such_vhost;
use super::rates::{self, Thing};
use super::reply::Reply;
use super::{arguments, list, sampler};

struct Row {
    vhost: Arc<str>,
    name: Arc<str>,
}

/// `GET /exchanges` and `/exchanges/:vhost`.
pub fn list(call: &Call) -> Answer {
    let vhosts = call.vhosts()?;
    let mut rows = Vec::new();
    {
        let topology = call.node().topology();
        for vhost in &vhosts {
            let row = |it: &ExchangeEntry| Row { vhost: vhost.clone(), name: it.name.clone() };
            rows.extend(topology.exchanges(vhost).map(row));
        }
    }
    list::answer(call, rows, |row: &Row| [&*row.name], |rows| render(call, rows))
}

/// `GET /exchanges/:vhost/:name`.
pub fn show(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let name = call.exchange_part("exchange");
    let exchange = {
        let topology = call.node().topology();
        let exchange = topology.exchange(&vhost, name).map_err(|_| Refusal::no_such_object())?;
        describe(call, &vhost, exchange)
    };
    list::answer_one(call, exchange)
}

/// `PUT /exchanges/:vhost/:name`.
pub fn declare(call: &Call) -> Answer {
    let vhost = call.vhost().map_err(no_such_vhost)?;
    let name = call.exchange_part("exchange");
    let fields = call.fields()?;
    let kind = fields.text("type")?.unwrap_or(ExchangeKind::Direct.name());
    let spec = ExchangeSpec {
        kind: kind.parse().map_err(|error| Refusal::from(TopologyError::from(error)))?,
        durable: fields.boolean("durable")?,
        auto_delete: fields.boolean("auto_delete")?,
        internal: fields.boolean("internal")?,
        arguments: arguments::from_json(fields.get("arguments"))?,
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(Refusal::bad_request("an exchange name has at most 255 bytes"));
    }
    call.node().topology().check_declare_exchange(call.caller.actor(&vhost), name, &spec)?;
    let (name, own_queue) = (name.into(), None);
    let command = TopologyCommand::DeclareExchange { vhost, name, spec, own_queue };
    let commanded = call.node().command(command)?;
    Ok(Reply::put(!commanded.applied.outcome.existed()).after(commanded.promise))
}

/// `DELETE /exchanges/:vhost/:name?if-unused=true`.
pub fn delete(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let name = call.exchange_part("exchange");
    call.check_exchange(Right::Configure, &vhost, name)?;
    let command = TopologyCommand::DeleteExchange {
        vhost,
        name: name.into(),
        if_unused: call.flag("if-unused"),
    };
    let commanded = call.node().command(command)?;
    match commanded.applied.outcome.existed() {
        true => Ok(Reply::no_content().after(commanded.promise)),
        false => Err(Refusal::no_such_object()),
    }
}

fn render(call: &Call, rows: &[&Row]) -> Vec<Option<Value>> {
    let topology = call.node().topology();
    let found = rows.iter().map(|row| {
        let exchange = topology.exchange(&row.vhost, &row.name).ok()?;
        Some(describe(call, &row.vhost, exchange))
    });
    found.collect()
}

fn describe(call: &Call, vhost: &str, exchange: &ExchangeEntry) -> Value {
    let mut object = json!({
        "name": &*exchange.name,
        "vhost": vhost,
        "type": exchange.spec.kind.name(),
        "durable": exchange.spec.durable,
        "auto_delete": exchange.spec.auto_delete,
        "internal": exchange.spec.internal,
        "arguments": arguments::to_json(&exchange.spec.arguments),
    });
    if let Some(policy) = exchange.in_force().and_then(|it| it.policy.as_deref()) {
        object["policy"] = json!(policy);
    }
    if !call.flag("disable_stats") {
        let thing = Thing::Exchange(vhost.into(), exchange.name.clone());
        let messages = call.measure(thing, &sampler::of_exchange(&exchange.traffic));
        object["message_stats"] = rates::object(&messages);
    }
    let delays = exchange.spec.kind == ExchangeKind::Delayed;
    if let Some(queue) = exchange.own_queue.filter(|_| delays) {
        let waiting = call.node().queue_stats(queue).ready;
        object["messages_delayed"] = json!(waiting);
    }
    object
}

/// The longest name that AMQP can say.
const NAME_BYTES_MAX: usize = 255;
