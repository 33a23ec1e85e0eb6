//! Why a message goes where it goes: an exchange and a routing key, or a topic, and the bindings that
//! it would take. Nothing is published. It is the routing itself that says so.

use hashbrown::HashMap;
use leveret_core::{
    Address, BindingEntry, Destination, ExchangeKind, Explanation, QueueId, QueueKind, Step,
    Syntax, Table, Topology, key_to_topic, topic_to_key,
};
use serde_json::{Value, json};

use super::bindings;
use super::call::{Answer, Call};
use super::error::Refusal;
use super::reply::Reply;
use super::{arguments, mqtt};
use crate::server::frontend::mqtt::{TOPIC_EXCHANGE, may_be_retained};
use crate::server::random_number;

/// `GET /exchanges/:vhost/:exchange/route?routing_key=K&headers={…}`.
pub fn route(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let exchange = call.exchange_part("exchange");
    let key = call.parameter("routing_key").unwrap_or_default();
    let address = Address { vhost: &vhost, exchange, key, random: random_number() };
    answer(call, address, &headers(call)?)
}

/// `GET /mqtt/route?topic=T`.
pub fn route_of_topic(call: &Call) -> Answer {
    let vhost = mqtt::vhost(call)?;
    let key = topic_to_key(call.parameter("topic").unwrap_or_default());
    if !may_be_retained(&key) {
        return Err(Refusal::bad_request("topic is none that clients may publish to"));
    }
    let address =
        Address { vhost: &vhost, exchange: TOPIC_EXCHANGE, key: &key, random: random_number() };
    answer(call, address, &Table::default())
}

/// The headers that the message is to have. What would delay it only says when it goes this way.
fn headers(call: &Call) -> Result<Table, Refusal> {
    let wrong = || Refusal::bad_request("headers must be a JSON object");
    let Some(text) = call.parameter("headers") else { return Ok(Table::default()) };
    let mut headers = serde_json::from_str::<Value>(text).map_err(|_| wrong())?;
    headers.as_object_mut().ok_or_else(wrong)?.remove("x-delay");
    arguments::from_json(Some(&headers))
}

fn answer(call: &Call, address: Address<'_>, headers: &Table) -> Answer {
    let topology = call.node().topology();
    let explained = topology.explain(address, headers, BINDINGS_MAX);
    let explanation = explained.map_err(|_| Refusal::no_such_object())?;
    let mut ways = Ways { is_whole: explanation.is_whole, ..Ways::default() };
    explanation.bindings.iter().for_each(|binding| ways.add(&explanation, binding));
    let Ways { by_queue, is_whole, .. } = ways;
    let queues = by_queue.iter().filter_map(|way| way.describe(&topology, address));
    Ok(Reply::json(&json!({ "targets": queues.collect::<Value>(), "truncated": !is_whole })))
}

/// The ways to all queues.
#[derive(Default)]
struct Ways<'a> {
    by_queue: Vec<Way<'a>>,
    places: HashMap<QueueId, usize>,
    is_whole: bool,
}

/// The ways to one queue.
struct Way<'a> {
    queue: QueueId,
    /// The last step to it may be one of several.
    steps: Vec<Step<'a>>,
    /// Of whichever shared subscriptions it is a member.
    shares: Vec<String>,
}

impl<'a> Ways<'a> {
    fn add(&mut self, explanation: &Explanation<'a>, binding: &BindingEntry<'a>) {
        let Destination::Queue(queue) = binding.destination else { return };
        let place = match self.places.get(&queue) {
            Some(place) => *place,
            None if self.by_queue.len() == TARGETS_MAX => return self.is_whole = false,
            None => self.add_queue(queue),
        };
        let before = explanation.way_to(binding.source).into_iter().cloned();
        for step in before.chain([Step::Binding(binding.clone())]) {
            self.is_whole &= self.by_queue[place].add(step);
        }
        let share = binding.share_name().map(str::to_owned);
        self.by_queue[place].shares.extend(share);
    }

    fn add_queue(&mut self, queue: QueueId) -> usize {
        self.by_queue.push(Way { queue, steps: Vec::new(), shares: Vec::new() });
        self.places.insert(queue, self.by_queue.len() - 1);
        self.by_queue.len() - 1
    }
}

impl<'a> Way<'a> {
    /// Whether there was room for it.
    fn add(&mut self, step: Step<'a>) -> bool {
        let has_room = self.steps.len() < STEPS_MAX;
        if has_room && !self.steps.contains(&step) {
            self.steps.push(step);
        }
        has_room
    }

    fn describe(&self, topology: &Topology, address: Address<'_>) -> Option<Value> {
        let queue = topology.queue_by_id(self.queue)?;
        let via = self.steps.iter().map(|step| describe(topology, address, step));
        let mut described = json!({
            "queue": &*queue.name,
            "vhost": &*queue.vhost,
            "via": via.collect::<Value>(),
        });
        if let QueueKind::MqttSession { client_id, .. } = &queue.spec.kind {
            described["client_id"] = json!(&**client_id);
        }
        if !self.shares.is_empty() {
            described["shares"] = json!(self.shares);
        }
        Some(described)
    }
}

fn describe(topology: &Topology, address: Address<'_>, step: &Step<'_>) -> Value {
    match step {
        Step::Binding(binding) => json!({
            "source": binding.source,
            "destination": binding.destination_name,
            "destination_type": bindings::kind_name(&binding.destination),
            "routing_key": binding.key,
            "arguments": arguments::to_json(binding.arguments),
            "reason": reason(topology, address, binding),
        }),
        Step::Alternate { exchange, alternate } => json!({
            "source": exchange,
            "destination": alternate,
            "destination_type": "exchange",
            "routing_key": "",
            "arguments": {},
            "reason": format!(
                "no binding of the exchange {exchange} matches, so its alternate exchange gets it"
            ),
        }),
    }
}

fn reason(topology: &Topology, address: Address<'_>, binding: &BindingEntry<'_>) -> String {
    let key = address.key;
    if binding.source.is_empty() {
        return format!("the default exchange sends to the queue of the name {key}");
    }
    let source = topology.exchange(address.vhost, binding.source);
    let kind = source.map_or(ExchangeKind::Direct, |exchange| exchange.spec.routes_as());
    let why = match (kind, binding.syntax) {
        (ExchangeKind::Direct, _) => format!("the binding key is {key}"),
        (ExchangeKind::Topic, Syntax::Amqp) => format!("the pattern {} matches {key}", binding.key),
        (ExchangeKind::Topic, Syntax::Mqtt) => {
            format!("the filter {} matches {}", key_to_topic(binding.key), key_to_topic(key))
        }
        (ExchangeKind::Headers, _) => "the headers match the arguments".to_owned(),
        (ExchangeKind::ConsistentHash | ExchangeKind::ModulusHash, _) => {
            "the exchange takes one binding, by a hash, and the hash is this one's".to_owned()
        }
        (ExchangeKind::Random | ExchangeKind::LocalRandom, _) => {
            "the exchange takes one binding at random, this time this one".to_owned()
        }
        (ExchangeKind::Fanout | ExchangeKind::RecentHistory | ExchangeKind::Delayed, _) => {
            format!("the exchange {} sends to all that is bound to it", binding.source)
        }
    };
    match binding.share_name() {
        Some(share) => format!("{why}; one member of the group {share} gets it"),
        None => why,
    }
}

/// Queues in an answer, and steps to each.
const TARGETS_MAX: usize = 1_000;
const STEPS_MAX: usize = 100;
/// Bindings that are looked at: a queue may have many that match.
const BINDINGS_MAX: usize = 10_000;
