//! Bindings: from a source exchange to a queue or another exchange, and where they are kept.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::exchange::{BindingId, Criteria};
use crate::id::QueueId;
use crate::topic::Syntax;
use crate::value::{Table, Value};

/// What makes a binding this one: two bindings that are equal in all of it are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The exchange that messages come from.
    pub source: Arc<str>,
    /// Where they go.
    pub destination: Destination,
    /// The binding key, in routing-key form. What it means depends on the type of the source.
    pub key: Arc<str>,
    /// Further arguments; the criteria of a headers exchange.
    #[serde(default)]
    pub arguments: Table,
    /// The syntax of the key, if the source is a topic exchange.
    #[serde(default)]
    pub syntax: Syntax,
}

/// Where a binding leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Into a queue.
    Queue(QueueId),
    /// Through another exchange of the same virtual host.
    Exchange(Arc<str>),
}

/// What an MQTT subscription asks for besides its filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionOptions {
    /// The greatest quality of service to deliver at.
    pub qos: u8,
    /// Nothing that the subscriber has published itself.
    #[serde(default)]
    pub no_local: bool,
    /// Keep the retain flag of the publish.
    #[serde(default)]
    pub retain_as_published: bool,
    /// The subscription identifier to send along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
}

/// What all subscriptions of a queue that match a message ask for together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The highest quality of service among them.
    pub qos: u8,
    /// Whether any keeps the retain flag of the publish.
    pub retain_as_published: bool,
    /// All identifiers, also equal ones.
    pub ids: SmallVec<[u32; 1]>,
    /// The shared subscription that it is of; not recorded.
    pub share: Option<Arc<Share>>,
}

/// A shared subscription of MQTT: of the sessions that have it, one gets each message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// The virtual host of those sessions.
    pub vhost: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its filter, in routing-key form.
    pub key: Arc<str>,
}

impl Binding {
    /// An AMQP binding to a queue, without arguments.
    pub fn to_queue(source: &str, queue: QueueId, key: &str) -> Self {
        Binding {
            source: source.into(),
            destination: Destination::Queue(queue),
            key: key.into(),
            arguments: Table::default(),
            syntax: Syntax::Amqp,
        }
    }

    /// A binding for a shared subscription has its name among the arguments.
    pub fn share_as(mut self, name: &str) -> Self {
        self.arguments.0.push((SHARE.to_owned(), Value::from(name)));
        self
    }

    fn share(&self, vhost: &Arc<str>) -> Option<Share> {
        let name = self.arguments.get(SHARE).filter(|_| self.syntax == Syntax::Mqtt)?;
        Some(Share { vhost: vhost.clone(), name: name.as_str()?.into(), key: self.key.clone() })
    }

    pub(super) fn criteria(&self) -> Criteria<'_> {
        Criteria { key: &self.key, syntax: self.syntax, arguments: &self.arguments }
    }

    fn is_same(&self, other: &Binding) -> bool {
        self.destination == other.destination
            && self.key == other.key
            && self.source == other.source
            && self.syntax == other.syntax
            && self.arguments.is_equivalent(&other.arguments)
    }
}

impl Subscription {
    /// Adds what another subscription asks for.
    pub fn merge(&mut self, other: &Subscription) {
        self.qos = self.qos.max(other.qos);
        self.retain_as_published |= other.retain_as_published;
        self.ids.extend_from_slice(&other.ids);
    }
}

impl From<SubscriptionOptions> for Subscription {
    fn from(options: SubscriptionOptions) -> Self {
        Subscription {
            qos: options.qos,
            retain_as_published: options.retain_as_published,
            ids: options.id.into_iter().collect(),
            share: None,
        }
    }
}

/// The argument that names a shared subscription.
pub(super) const SHARE: &str = "x-share";

/// A binding in its place.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) options: Option<SubscriptionOptions>,
    /// The options as routes share them.
    pub(super) subscription: Option<Arc<Subscription>>,
    pub(super) destination_durable: bool,
}

impl Bound {
    pub(super) fn share(&self) -> Option<&Arc<Share>> {
        self.subscription.as_ref()?.share.as_ref()
    }

    pub(super) fn new(
        binding: Binding,
        options: Option<SubscriptionOptions>,
        destination_durable: bool,
        vhost: &Arc<str>,
    ) -> Self {
        let mut bound = Bound { binding, options: None, subscription: None, destination_durable };
        bound.set_options(options, vhost);
        bound
    }

    pub(super) fn set_options(&mut self, options: Option<SubscriptionOptions>, vhost: &Arc<str>) {
        self.options = options;
        self.subscription = options.map(|options| {
            let share = self.binding.share(vhost).map(Arc::new);
            Arc::new(Subscription { share, ..options.into() })
        });
    }
}

/// The bindings of a virtual host: by number, and by what makes them the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Bindings {
    slots: Vec<Option<Bound>>,
    free: Vec<BindingId>,
    /// Its order never shows; the seed keeps peers from choosing bindings that collide.
    index: HashTable<BindingId>,
    hasher: RandomState,
}

impl Bindings {
    pub(super) fn find(&self, binding: &Binding) -> Option<BindingId> {
        let is_it = |id: &BindingId| self.bound(*id).binding.is_same(binding);
        self.index.find(hash(&self.hasher, binding), is_it).copied()
    }

    pub(super) fn insert(&mut self, bound: Bound) -> BindingId {
        let hash_of_new = hash(&self.hasher, &bound.binding);
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.0 as usize] = Some(bound);
                id
            }
            None => {
                self.slots.push(Some(bound));
                let last = self.slots.len() - 1;
                BindingId(u32::try_from(last).expect("fewer than 2^32 bindings fit into memory"))
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash_of_new, id, |other| {
            let bound = slots[other.0 as usize].as_ref();
            hash(hasher, &bound.expect("the index holds live bindings only").binding)
        });
        id
    }

    pub(super) fn remove(&mut self, id: BindingId) -> Option<Bound> {
        let bound = self.slots.get_mut(id.0 as usize)?.take()?;
        if let Ok(entry) =
            self.index.find_entry(hash(&self.hasher, &bound.binding), |other| *other == id)
        {
            entry.remove();
        }
        self.free.push(id);
        if self.index.is_empty() {
            *self = Bindings::default();
        }
        Some(bound)
    }

    /// # Panics
    /// If there is no such binding: exchanges and queues know live ones only.
    pub(super) fn bound(&self, id: BindingId) -> &Bound {
        self.slots[id.0 as usize].as_ref().expect("ids that are held are live")
    }

    /// # Panics
    /// As [`Bindings::bound`].
    pub(super) fn bound_mut(&mut self, id: BindingId) -> &mut Bound {
        self.slots[id.0 as usize].as_mut().expect("ids that are held are live")
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.slots.iter().flatten()
    }
}

/// Equal for bindings that are the same, whatever the order of their arguments.
fn hash(state: &RandomState, binding: &Binding) -> u64 {
    let argument = |(name, value): (&str, &Value)| {
        let mut hasher = state.build_hasher();
        name.hash(&mut hasher);
        match (value.as_integer(), value) {
            (Some(integer), _) => integer.hash(&mut hasher),
            (None, Value::LongString(bytes) | Value::ByteArray(bytes)) => bytes.hash(&mut hasher),
            _ => value.type_name().hash(&mut hasher),
        }
        hasher.finish()
    };
    let arguments = binding.arguments.iter().map(argument).fold(0u64, u64::wrapping_add);
    state.hash_one((&binding.source, &binding.destination, &binding.key, binding.syntax, arguments))
}
