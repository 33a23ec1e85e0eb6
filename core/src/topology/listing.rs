//! Listings for management: sorted, and the same whatever the order of declarations was.

use std::cmp::Ordering;
use std::fmt::Write;

use super::binding::Bound;
use super::vhost::Vhost;
use super::{Binding, Destination, ExchangeEntry, QueueEntry, SubscriptionOptions, Topology};
use crate::exchange::BindingId;
use crate::id::QueueId;
use crate::topic::Syntax;
use crate::value::{Table, Value};

/// A binding as management shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingEntry<'a> {
    /// The name of the source; empty for the default exchange.
    pub source: &'a str,
    /// The destination.
    pub destination: Destination,
    /// The destination's name.
    pub destination_name: &'a str,
    /// The binding key, in routing-key form.
    pub key: &'a str,
    /// The arguments.
    pub arguments: &'a Table,
    /// The syntax of the key.
    pub syntax: Syntax,
    /// The options, if it is an MQTT subscription.
    pub subscription: Option<SubscriptionOptions>,
}

impl Topology {
    /// The names of all virtual hosts, sorted.
    pub fn vhosts(&self) -> impl Iterator<Item = &str> {
        self.vhosts.keys().map(|name| &**name)
    }

    /// The exchanges of a virtual host, by name; none if it does not exist.
    pub fn exchanges(&self, vhost: &str) -> impl Iterator<Item = &ExchangeEntry> {
        self.vhosts.get(vhost).into_iter().flat_map(|vhost| vhost.exchanges.values())
    }

    /// The queues of a virtual host, by name; none if it does not exist.
    pub fn queues(&self, vhost: &str) -> Vec<&QueueEntry> {
        let ids = self.vhosts.get(vhost).into_iter().flat_map(|vhost| vhost.queue_ids.values());
        let mut queues: Vec<_> = ids.filter_map(|id| self.queue_by_id(*id)).collect();
        queues.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        queues
    }

    /// The queues of a virtual host, in any order; none if it does not exist.
    pub fn queue_ids(&self, vhost: &str) -> impl Iterator<Item = QueueId> {
        self.vhosts.get(vhost).into_iter().flat_map(|vhost| vhost.queue_ids.values().copied())
    }

    /// How many queues there are in a virtual host.
    pub fn queue_count(&self, vhost: &str) -> usize {
        self.vhosts.get(vhost).map_or(0, |vhost| vhost.queue_ids.len())
    }

    /// All bindings of a virtual host, with the implicit ones of the default exchange, sorted by
    /// source, destination and key.
    pub fn bindings(&self, vhost: &str) -> Vec<BindingEntry<'_>> {
        let explicit =
            self.vhosts.get(vhost).into_iter().flat_map(|vhost| {
                vhost.bindings.iter().filter_map(|bound| self.entry(vhost, bound))
            });
        sorted(explicit.chain(self.queues(vhost).into_iter().map(implicit)))
    }

    /// How many subscriptions of MQTT there are in a virtual host, and how many of them are shared.
    pub fn subscriptions(&self, vhost: &str) -> (usize, usize) {
        let bound = self.vhosts.get(vhost).into_iter().flat_map(|vhost| vhost.bindings.iter());
        let subscriptions = bound.filter_map(|bound| bound.subscription.as_ref());
        subscriptions
            .fold((0, 0), |(all, shared), one| (all + 1, shared + usize::from(one.share.is_some())))
    }

    /// The queues of the sessions that share subscriptions with that of this one.
    pub fn fellow_members(&self, queue: QueueId) -> Vec<QueueId> {
        let Some(entry) = self.queues.get(&queue) else { return Vec::new() };
        let Ok(vhost) = self.vhost(&entry.vhost) else { return Vec::new() };
        let shares: Vec<_> =
            entry.bindings.iter().filter_map(|id| vhost.bindings.bound(id).share()).collect();
        if shares.is_empty() {
            return Vec::new();
        }
        let is_fellow = |bound: &&Bound| bound.share().is_some_and(|share| shares.contains(&share));
        let fellows = vhost.bindings.iter().filter(is_fellow);
        fellows
            .filter_map(|bound| match bound.binding.destination {
                Destination::Queue(fellow) if fellow != queue => Some(fellow),
                _ => None,
            })
            .collect()
    }

    /// The bindings that lead to a queue, with the implicit one of the default exchange; none if it
    /// does not exist.
    pub fn bindings_of_queue(&self, id: QueueId) -> Vec<BindingEntry<'_>> {
        let Some(queue) = self.queues.get(&id) else { return Vec::new() };
        let explicit = self.entries(&queue.vhost, queue.bindings.iter());
        sorted(explicit.chain(Some(implicit(queue))))
    }

    /// Whether there is this binding, whatever the options of its subscription.
    pub fn is_bound(&self, vhost: &str, binding: &Binding) -> bool {
        self.vhosts.get(vhost).is_some_and(|vhost| vhost.bindings.find(binding).is_some())
    }

    /// The bindings that an exchange is the source of; none if it does not exist.
    pub fn bindings_from(&self, vhost: &str, exchange: &str) -> Vec<BindingEntry<'_>> {
        if exchange.is_empty() {
            return sorted(self.queues(vhost).into_iter().map(implicit));
        }
        match self.exchange(vhost, exchange) {
            Ok(exchange) => sorted(self.entries(vhost, exchange.outgoing.iter().copied())),
            Err(_) => Vec::new(),
        }
    }

    /// The bindings that lead to an exchange; none if it does not exist.
    pub fn bindings_to(&self, vhost: &str, exchange: &str) -> Vec<BindingEntry<'_>> {
        match self.exchange(vhost, exchange) {
            Ok(exchange) => sorted(self.entries(vhost, exchange.incoming.iter())),
            Err(_) => Vec::new(),
        }
    }

    fn entries<'a>(
        &'a self,
        vhost: &str,
        ids: impl Iterator<Item = BindingId>,
    ) -> impl Iterator<Item = BindingEntry<'a>> {
        let vhost = self.vhosts.get(vhost);
        ids.filter_map(move |id| {
            let vhost = vhost?;
            self.entry(vhost, vhost.bindings.bound(id))
        })
    }

    pub(super) fn entry<'a>(
        &'a self,
        vhost: &'a Vhost,
        bound: &'a Bound,
    ) -> Option<BindingEntry<'a>> {
        let binding = &bound.binding;
        let destination_name = match &binding.destination {
            Destination::Queue(id) => &*self.queues.get(id)?.name,
            Destination::Exchange(name) => &*vhost.exchanges.get(name)?.name,
        };
        Some(BindingEntry {
            source: &binding.source,
            destination: binding.destination.clone(),
            destination_name,
            key: &binding.key,
            arguments: &binding.arguments,
            syntax: binding.syntax,
            subscription: bound.options,
        })
    }
}

impl BindingEntry<'_> {
    /// The text by which management's paths name a binding among those with the same ends: the key,
    /// percent-encoded, or `~` if it is empty; behind it a hash, if there is more than a key.
    pub fn properties_key(&self) -> String {
        let plain = self.arguments.is_empty() && self.syntax == Syntax::Amqp;
        if plain && self.key.is_empty() {
            return "~".to_owned();
        }
        let mut text = percent_encoded(self.key);
        if !plain {
            let hash = hash_of(self.arguments, self.syntax);
            write!(text, "~{hash:016x}").expect("a String takes what it is given");
        }
        text
    }

    /// The name of the shared subscription that it is for.
    pub fn share_name(&self) -> Option<&str> {
        let name = self.arguments.get(super::binding::SHARE);
        name.filter(|_| self.subscription.is_some())?.as_str()
    }

    fn order(&self, other: &Self) -> Ordering {
        let to_exchange = |it: &Self| matches!(it.destination, Destination::Exchange(_));
        self.source
            .cmp(other.source)
            .then_with(|| to_exchange(self).cmp(&to_exchange(other)))
            .then_with(|| self.destination_name.cmp(other.destination_name))
            .then_with(|| self.key.cmp(other.key))
            .then_with(|| self.properties_key().cmp(&other.properties_key()))
    }
}

fn sorted<'a>(entries: impl Iterator<Item = BindingEntry<'a>>) -> Vec<BindingEntry<'a>> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(BindingEntry::order);
    entries
}

/// Every queue is bound to the default exchange by its name.
pub(super) fn implicit(queue: &QueueEntry) -> BindingEntry<'_> {
    BindingEntry {
        source: "",
        destination: Destination::Queue(queue.id),
        destination_name: &queue.name,
        key: &queue.name,
        arguments: NO_ARGUMENTS,
        syntax: Syntax::Amqp,
        subscription: None,
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes what it is given");
        }
    }
    encoded
}

/// FNV-1a over the arguments, ordered by name: it tells bindings apart and protects nothing.
fn hash_of(arguments: &Table, syntax: Syntax) -> u64 {
    let mut pairs: Vec<(&str, &Value)> = arguments.iter().collect();
    pairs.sort_by_key(|(name, _)| *name);
    let bytes =
        serde_json::to_vec(&(pairs, syntax)).expect("arguments are texts, numbers and lists");
    bytes.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

static NO_ARGUMENTS: &Table = &Table(Vec::new());
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(key: &'a str, arguments: &'a Table, syntax: Syntax) -> BindingEntry<'a> {
        BindingEntry {
            source: "x",
            destination: Destination::Queue(QueueId(1)),
            destination_name: "q",
            key,
            arguments,
            syntax,
            subscription: None,
        }
    }

    #[test]
    fn a_properties_key_is_the_quoted_key_or_a_tilde() {
        let key = |key| entry(key, NO_ARGUMENTS, Syntax::Amqp).properties_key();
        assert_eq!(key(""), "~");
        assert_eq!(key("a.b_c-1"), "a.b_c-1");
        assert_eq!(key("a/#~é"), "a%2F%23%7E%C3%A9");
    }

    #[test]
    fn arguments_and_syntax_make_another_properties_key() {
        let table = |pairs: [(&str, i64); 2]| -> Table {
            pairs.into_iter().map(|(name, value)| (name, Value::from(value))).collect()
        };
        let (a, b, c) =
            (table([("x", 1), ("y", 2)]), table([("y", 2), ("x", 1)]), table([("x", 1), ("y", 3)]));
        let key = |arguments, syntax| entry("k", arguments, syntax).properties_key();
        assert_eq!(key(&a, Syntax::Amqp), key(&b, Syntax::Amqp));
        assert_ne!(key(&a, Syntax::Amqp), key(&c, Syntax::Amqp));
        assert_ne!(key(NO_ARGUMENTS, Syntax::Amqp), key(NO_ARGUMENTS, Syntax::Mqtt));
        assert!(key(&a, Syntax::Amqp).starts_with("k~"));
    }
}
