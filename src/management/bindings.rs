//! Bindings: lists, single ones, bind and unbind.
//!
//! A path names a binding by its ends and its `properties_key`, which the lists give.

use std::fmt::Write as _;
use std::sync::Arc;

use leveret_core::{
    Binding, BindingEntry, Destination, Syntax, Topology, TopologyCommand, TopologyError,
};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::queues::NOBODY;
use super::reply::Reply;
use super::{arguments, list};

/// `GET /bindings` and `/bindings/:vhost`.
pub fn list(call: &Call) -> Answer {
    let vhosts = call.vhosts()?;
    let topology = call.node().topology();
    let of = |vhost| topology.bindings(vhost).into_iter().map(move |entry| Row { vhost, entry });
    answer(call, vhosts.iter().flat_map(|vhost| of(vhost)).collect())
}

/// `GET /queues/:vhost/:queue/bindings`.
pub fn to_queue(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let topology = call.node().topology();
    let queue = topology.queue(&vhost, call.part("queue"));
    let id = queue.map_err(|_| Refusal::no_such_object())?.id;
    answer(call, rows(&vhost, topology.bindings_of_queue(id)))
}

/// `GET /exchanges/:vhost/:exchange/bindings/source`.
pub fn from_exchange(call: &Call) -> Answer {
    of_exchange(call, |topology, vhost, name| topology.bindings_from(vhost, name))
}

/// `GET /exchanges/:vhost/:exchange/bindings/destination`.
pub fn to_exchange(call: &Call) -> Answer {
    of_exchange(call, |topology, vhost, name| topology.bindings_to(vhost, name))
}

/// `GET /bindings/:vhost/e/:source/q|e/:destination`.
pub fn between(call: &Call) -> Answer {
    let ends = Ends::of(call)?;
    let topology = call.node().topology();
    answer(call, rows(&ends.vhost, ends.bindings(&topology)))
}

/// `POST /bindings/:vhost/e/:source/q|e/:destination`.
pub fn bind(call: &Call) -> Answer {
    let ends = Ends::of(call)?;
    let fields = call.fields()?;
    let key = fields.text("routing_key")?.unwrap_or_default();
    if key.len() > KEY_BYTES_MAX {
        return Err(Refusal::bad_request("a routing key has at most 255 bytes"));
    }
    let binding = Binding {
        source: ends.source.into(),
        destination: ends.destination.clone(),
        key: key.into(),
        arguments: arguments::from_json(fields.get("arguments"))?,
        syntax: Syntax::Amqp,
    };
    ends.check_rights(call, &binding)?;
    let properties_key = properties_key(&binding);
    let command = TopologyCommand::Bind { vhost: ends.vhost, binding, subscription: None };
    let commanded = call.node().command(command)?;
    let location = format!("{}/{}", call.last_segment(), percent_encoded(&properties_key));
    Ok(Reply::created().at(&location).after(commanded.promise))
}

/// `GET /bindings/:vhost/e/:source/q|e/:destination/:props`.
pub fn show(call: &Call) -> Answer {
    let ends = Ends::of(call)?;
    let topology = call.node().topology();
    let named = rows(&ends.vhost, ends.named(&topology, call));
    let found = named.first().map(Row::describe);
    drop(named);
    drop(topology);
    list::answer_one(call, found.ok_or_else(Refusal::no_such_object)?)
}

/// `DELETE /bindings/:vhost/e/:source/q|e/:destination/:props`.
pub fn unbind(call: &Call) -> Answer {
    let ends = Ends::of(call)?;
    let binding = {
        let topology = call.node().topology();
        let found = ends.named(&topology, call).into_iter().next();
        found.map(binding_of).ok_or_else(Refusal::no_such_object)?
    };
    ends.check_rights(call, &binding)?;
    let vhost = ends.vhost;
    let commanded = call.node().command(TopologyCommand::Unbind { vhost, binding })?;
    Ok(Reply::no_content().after(commanded.promise))
}

/// The two ends that a path names.
struct Ends<'a> {
    vhost: Arc<str>,
    source: &'a str,
    destination: Destination,
    destination_name: &'a str,
}

impl<'a> Ends<'a> {
    fn of(call: &'a Call) -> Result<Self, Refusal> {
        let vhost = call.vhost()?;
        let source = call.exchange_part("source");
        let topology = call.node().topology();
        let missing = |_: TopologyError| Refusal::no_such_object();
        topology.exchange(&vhost, source).map_err(missing)?;
        let (destination, destination_name) = match call.part("kind") {
            "q" => {
                let name = call.part("destination");
                let queue = topology.queue(&vhost, name).map_err(missing)?;
                queue.check_access(NOBODY)?;
                (Destination::Queue(queue.id), name)
            }
            "e" => {
                let name = call.exchange_part("destination");
                let exchange = topology.exchange(&vhost, name).map_err(missing)?;
                (Destination::Exchange(exchange.name.clone()), name)
            }
            _ => return Err(Refusal::no_such_object()),
        };
        drop(topology);
        Ok(Ends { vhost, source, destination, destination_name })
    }

    fn check_rights(&self, call: &Call, binding: &Binding) -> Result<(), Refusal> {
        let (topology, actor) = (call.node().topology(), call.caller.actor(&self.vhost));
        Ok(topology.check_bind(actor, binding, self.destination_name)?)
    }

    fn bindings<'t>(&self, topology: &'t Topology) -> Vec<BindingEntry<'t>> {
        let mut bindings = match &self.destination {
            Destination::Queue(id) => topology.bindings_of_queue(*id),
            Destination::Exchange(name) => topology.bindings_to(&self.vhost, name),
        };
        bindings.retain(|binding| binding.source == self.source);
        bindings
    }

    /// The binding that the end of the path names; some clients encode that part and others give it
    /// back as they got it.
    fn named<'t>(&self, topology: &'t Topology, call: &Call) -> Vec<BindingEntry<'t>> {
        let wanted = [call.part("props"), call.last_segment()];
        let mut bindings = self.bindings(topology);
        bindings.retain(|binding| wanted.contains(&&*binding.properties_key()));
        bindings
    }
}

fn of_exchange(
    call: &Call,
    bindings: impl for<'t> Fn(&'t Topology, &str, &str) -> Vec<BindingEntry<'t>>,
) -> Answer {
    let vhost = call.vhost()?;
    let name = call.exchange_part("exchange");
    let topology = call.node().topology();
    topology.exchange(&vhost, name).map_err(|_| Refusal::no_such_object())?;
    answer(call, rows(&vhost, bindings(&topology, &vhost, name)))
}

/// A binding in a list. It is found by its ends and its key.
struct Row<'a> {
    vhost: &'a str,
    entry: BindingEntry<'a>,
}

fn rows<'a>(vhost: &'a str, bindings: Vec<BindingEntry<'a>>) -> Vec<Row<'a>> {
    bindings.into_iter().map(|entry| Row { vhost, entry }).collect()
}

fn answer(call: &Call, rows: Vec<Row<'_>>) -> Answer {
    let render = |rows: &[&Row<'_>]| rows.iter().map(|row| Some(row.describe())).collect();
    list::answer(call, rows, Row::names, render)
}

impl Row<'_> {
    fn names(&self) -> [&str; 3] {
        [self.entry.source, self.entry.destination_name, self.entry.key]
    }

    fn describe(&self) -> Value {
        let binding = &self.entry;
        json!({
            "source": binding.source,
            "vhost": self.vhost,
            "destination": binding.destination_name,
            "destination_type": kind_name(&binding.destination),
            "routing_key": binding.key,
            "arguments": arguments::to_json(binding.arguments),
            "properties_key": binding.properties_key(),
        })
    }
}

/// The name of the kind of a destination.
pub fn kind_name(destination: &Destination) -> &'static str {
    match destination {
        Destination::Queue(_) => "queue",
        Destination::Exchange(_) => "exchange",
    }
}

fn binding_of(entry: BindingEntry<'_>) -> Binding {
    Binding {
        source: entry.source.into(),
        destination: entry.destination,
        key: entry.key.into(),
        arguments: entry.arguments.clone(),
        syntax: entry.syntax,
    }
}

fn properties_key(binding: &Binding) -> String {
    let entry = BindingEntry {
        source: &binding.source,
        destination: binding.destination.clone(),
        destination_name: "",
        key: &binding.key,
        arguments: &binding.arguments,
        syntax: binding.syntax,
        subscription: None,
    };
    entry.properties_key()
}

/// One segment of a path (RFC 3986, unreserved characters stay).
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes what it is given");
        }
    }
    encoded
}

/// The longest routing key that AMQP can say.
const KEY_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_of_a_path_is_encoded_but_for_unreserved_characters() {
        assert_eq!(percent_encoded("~a.b-c_d"), "~a.b-c_d");
        assert_eq!(percent_encoded("a%2F é"), "a%252F%20%C3%A9");
    }
}
