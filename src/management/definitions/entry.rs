//! The entries of definitions, each by itself: what it asks for, or what is wrong with it.

use std::sync::Arc;

use leveret_core::{
    ExchangeSpec, Limit, ParameterName, PolicyKind, QueueSpec, TopologyCommand, TopologyError,
};
use serde_json::{Map, Value};

use super::step::{End, Step};
use super::{LIMITS, OPERATOR_POLICY, POLICY, SCRAM_KEYS};
use crate::management::error::Refusal;
use crate::management::fields::Fields;
use crate::management::users::Password;
use crate::management::{arguments, permissions, policies};
use crate::server::scram;

/// The lists of definitions, in the order in which they find what they need.
#[derive(Debug, Clone, Copy)]
pub enum List {
    /// `users`
    Users,
    /// `vhosts`
    Vhosts,
    /// `permissions`
    Permissions,
    /// `topic_permissions`
    TopicPermissions,
    /// `global_parameters`
    GlobalParameters,
    /// `parameters`
    Parameters,
    /// `policies`
    Policies,
    /// `exchanges`
    Exchanges,
    /// `queues`
    Queues,
    /// `bindings`
    Bindings,
}

impl List {
    /// Those that are not of one virtual host.
    pub const GLOBAL: [List; 5] = [
        List::Users,
        List::Vhosts,
        List::Permissions,
        List::TopicPermissions,
        List::GlobalParameters,
    ];
    /// Those that are of virtual hosts.
    pub const OF_VHOSTS: [List; 5] =
        [List::Parameters, List::Policies, List::Exchanges, List::Queues, List::Bindings];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            List::Users => "users",
            List::Vhosts => "vhosts",
            List::Permissions => "permissions",
            List::TopicPermissions => "topic_permissions",
            List::GlobalParameters => "global_parameters",
            List::Parameters => "parameters",
            List::Policies => "policies",
            List::Exchanges => "exchanges",
            List::Queues => "queues",
            List::Bindings => "bindings",
        }
    }
}

/// An entry, and what it is about.
pub struct Entry<'a> {
    /// Its fields.
    pub fields: &'a Fields,
    /// The virtual host that all entries are for, whatever they say.
    pub vhost: Option<&'a Arc<str>>,
    /// What it asks for.
    pub steps: Vec<Step>,
    /// What it asks for once everything else is there, for which it is no rule.
    pub last: Vec<Step>,
    /// What is not as it stands there.
    pub notes: Vec<String>,
}

type Read = Result<(), Refusal>;

impl<'a> Entry<'a> {
    /// An entry that nobody has looked at.
    pub fn new(fields: &'a Fields, vhost: Option<&'a Arc<str>>) -> Self {
        Entry { fields, vhost, steps: Vec::new(), last: Vec::new(), notes: Vec::new() }
    }

    /// Looks at it as an entry of a list.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, list: List) -> Result<(), Refusal> {
        match list {
            List::Users => self.user(),
            List::Vhosts => self.vhost(),
            List::Permissions => self.permission(),
            List::TopicPermissions => self.topic_permission(),
            List::GlobalParameters => self.global_parameter(),
            List::Parameters => self.parameter(),
            List::Policies => self.policy(),
            List::Exchanges => self.exchange(),
            List::Queues => self.queue(),
            List::Bindings => self.binding(),
        }
    }

    fn user(&mut self) -> Read {
        let name = self.name("name")?;
        let fields = self.fields;
        let password = Password::of(fields)?;
        let password = password.ok_or_else(|| Refusal::bad_request("password_hash is missing"))?;
        let is_plain = matches!(password, Password::Plain(..));
        let (password_hash, keys) = password.kept(Default::default())?;
        let scram_keys = match fields.text(SCRAM_KEYS)? {
            Some(given) if given.parse::<scram::Keys>().is_err() => {
                return Err(Refusal::bad_request(format!(
                    "{SCRAM_KEYS} is not in RFC 5803's form"
                )));
            }
            Some(given) => Some(given.to_owned()),
            None => is_plain.then_some(keys),
        };
        let tags = fields.words("tags")?.unwrap_or_default();
        let limits = limits(fields.get("limits"), Limit::OF_USERS)?;
        self.last.extend(limits.into_iter().map(|limit| Step::limit_user(&name, limit)));
        self.steps.push(Step::User { name, password_hash, scram_keys, tags });
        Ok(())
    }

    /// RabbitMQ 3 has only names, or more beside them; 4 has it in `metadata` as well.
    fn vhost(&mut self) -> Read {
        let name = self.name("name")?;
        let metadata = match self.fields.get("metadata") {
            Some(Value::Object(metadata)) => Fields::from(metadata.clone()),
            None | Some(Value::Null | Value::Array(_)) => Fields::default(),
            Some(_) => return Err(Refusal::bad_request("metadata must be an object")),
        };
        let places = [self.fields, &metadata];
        let (mut description, mut tags, mut protected) = (None, None, None);
        for fields in places {
            description = description.or(fields.text("description")?.map(str::to_owned));
            tags = tags.or(fields.words("tags")?);
            if fields.get("protected_from_deletion").is_some() {
                protected = protected.or(Some(fields.boolean("protected_from_deletion")?));
            }
            if let Some(other) = fields.text("default_queue_type")?
                && !["", "undefined", "classic"].contains(&other)
                && self.notes.is_empty()
            {
                let note = format!("queues without x-queue-type are classic, not {other}");
                self.notes.push(note);
            }
        }
        self.steps.push(Step::Vhost { name, description, tags, protected });
        Ok(())
    }

    fn permission(&mut self) -> Read {
        let (user, vhost) = (self.name("user")?, self.vhost_name()?);
        let permissions = permissions::of(self.fields)?;
        self.add(TopologyCommand::SetPermissions { user, vhost, permissions })
    }

    fn topic_permission(&mut self) -> Read {
        let (user, vhost) = (self.name("user")?, self.vhost_name()?);
        let (exchange, permissions) = permissions::topics_of(self.fields)?;
        self.add(TopologyCommand::SetTopicPermissions { user, vhost, exchange, permissions })
    }

    /// Policies and limits are among RabbitMQ's.
    fn parameter(&mut self) -> Read {
        let (vhost, component, name) =
            (self.vhost_name()?, self.name("component")?, self.name("name")?);
        let value = self.needed("value")?.clone();
        match &*component {
            OPERATOR_POLICY => self.policy_of(PolicyKind::Operator, vhost, name, &value),
            POLICY => self.policy_of(PolicyKind::User, vhost, name, &value),
            LIMITS => {
                let limits = limits(Some(&value), Limit::OF_VHOSTS)?;
                self.last.extend(limits.into_iter().map(|limit| Step::limit_vhost(&vhost, limit)));
                Ok(())
            }
            _ => {
                self.notes.push(format!("it is kept, but nothing here reads '{component}'"));
                let name = ParameterName { vhost: Some(vhost), component, name };
                self.add(TopologyCommand::SetParameter { name, value })
            }
        }
    }

    fn global_parameter(&mut self) -> Read {
        let name = ParameterName::global(self.name("name")?);
        let value = self.needed("value")?.clone();
        self.add(TopologyCommand::SetParameter { name, value })
    }

    fn policy(&mut self) -> Read {
        let (vhost, name) = (self.vhost_name()?, self.name("name")?);
        self.put_policy(PolicyKind::User, vhost, name, self.fields)
    }

    fn policy_of(
        &mut self,
        kind: PolicyKind,
        vhost: Arc<str>,
        name: Arc<str>,
        value: &Value,
    ) -> Read {
        match value {
            Value::Object(fields) => {
                self.put_policy(kind, vhost, name, &Fields::from(fields.clone()))
            }
            _ => Err(Refusal::bad_request("value must be an object")),
        }
    }

    fn put_policy(
        &mut self,
        kind: PolicyKind,
        vhost: Arc<str>,
        name: Arc<str>,
        fields: &Fields,
    ) -> Read {
        fields.require(&["pattern", "definition"])?;
        let mut policy = policies::policy(fields, kind)?;
        let had_any = !policy.definition.is_empty();
        let is_foreign = |key: &str| {
            key.starts_with("ha-") || key.starts_with("federation-") || FOREIGN_KEYS.contains(&key)
        };
        let foreign = policy.definition.0.extract_if(.., |(key, _)| is_foreign(key));
        self.notes
            .extend(foreign.map(|(key, _)| format!("'{key}' is left out: it does nothing here")));
        if had_any && policy.definition.is_empty() {
            self.notes.push("the policy is left out: it says nothing else".to_owned());
            return Ok(());
        }
        self.add(TopologyCommand::PutPolicy { vhost, kind, name, policy })
    }

    fn exchange(&mut self) -> Read {
        let (vhost, name, fields) = (self.vhost_name()?, self.name("name")?, self.fields);
        let kind = self.needed_text("type")?;
        let spec = ExchangeSpec {
            kind: kind.parse().map_err(|error| Refusal::from(TopologyError::from(error)))?,
            durable: fields.boolean("durable")?,
            auto_delete: fields.boolean("auto_delete")?,
            internal: fields.boolean("internal")?,
            arguments: arguments::from_json(fields.get("arguments"))?,
        };
        self.add(TopologyCommand::DeclareExchange { vhost, name, spec, own_queue: None })
    }

    /// The type may stand beside the arguments.
    fn queue(&mut self) -> Read {
        let (vhost, name, fields) = (self.vhost_name()?, self.name("name")?, self.fields);
        if is_mqtt_session(&name) {
            self.notes.push("it is left out: MQTT sessions begin anew".to_owned());
            return Ok(());
        }
        let mut arguments = arguments::from_json(fields.get("arguments"))?;
        let queue_type = fields.text("type")?.filter(|name| *name != "classic");
        if let Some(queue_type) = queue_type
            && arguments.get(QUEUE_TYPE).is_none()
        {
            arguments.0.push((QUEUE_TYPE.to_owned(), queue_type.into()));
        }
        let spec = QueueSpec {
            durable: fields.boolean("durable")?,
            auto_delete: fields.boolean("auto_delete")?,
            arguments,
            ..QueueSpec::default()
        };
        self.steps.push(Step::Queue { vhost, name, spec });
        Ok(())
    }

    /// Those of the default exchange are there by themselves.
    fn binding(&mut self) -> Read {
        let (vhost, fields) = (self.vhost_name()?, self.fields);
        let (source, destination) = (self.needed_text("source")?, self.name("destination")?);
        let key = fields.text("routing_key")?.unwrap_or_default();
        if key.len() > NAME_BYTES_MAX {
            return Err(Refusal::bad_request("a routing key has at most 255 bytes"));
        }
        let to = match self.needed_text("destination_type")? {
            "queue" if is_mqtt_session(&destination) => return Ok(()),
            "queue" => End::Queue(destination.to_string()),
            "exchange" => End::Exchange(destination),
            _ => return Err(Refusal::bad_request("destination_type must be queue or exchange")),
        };
        if source.is_empty() {
            return Ok(());
        }
        let arguments = arguments::from_json(fields.get("arguments"))?;
        let (source, key) = (source.into(), key.into());
        self.steps.push(Step::Bind { vhost, source, to, key, arguments });
        Ok(())
    }

    fn add(&mut self, command: TopologyCommand) -> Read {
        self.steps.push(Step::Command(command));
        Ok(())
    }

    fn vhost_name(&self) -> Result<Arc<str>, Refusal> {
        self.vhost.map_or_else(|| self.name("vhost"), |vhost| Ok(Arc::clone(vhost)))
    }

    fn name(&self, field: &str) -> Result<Arc<str>, Refusal> {
        let name = self.needed_text(field)?;
        match name.len() {
            1..=NAME_BYTES_MAX => Ok(name.into()),
            _ => {
                Err(Refusal::bad_request(format!("{field} must have 1 to {NAME_BYTES_MAX} bytes")))
            }
        }
    }

    fn needed(&self, field: &str) -> Result<&Value, Refusal> {
        let value = self.fields.get(field);
        value.ok_or_else(|| Refusal::bad_request(format!("{field} is missing")))
    }

    fn needed_text(&self, field: &str) -> Result<&str, Refusal> {
        let text = self.fields.text(field)?;
        text.ok_or_else(|| Refusal::bad_request(format!("{field} is missing")))
    }
}

/// All limits that there can be, with those that a value has.
fn limits(value: Option<&Value>, known: &[Limit]) -> Result<Vec<(Limit, Option<i64>)>, Refusal> {
    let none = Map::new();
    let object = match value {
        None | Some(Value::Null) => &none,
        Some(Value::Array(items)) if items.is_empty() => &none,
        Some(Value::Object(object)) => object,
        Some(_) => return Err(Refusal::bad_request("limits must be an object")),
    };
    let names: Vec<_> = known.iter().map(|limit| limit.name()).collect();
    if let Some(unknown) = object.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(Refusal::bad_request(format!("there is no limit '{unknown}'")));
    }
    let max_of = |&limit: &Limit| match object.get(limit.name()).map(Value::as_i64) {
        None => Ok((limit, None)),
        Some(Some(max)) => Ok((limit, Some(max))),
        Some(None) => Err(Refusal::bad_request(format!("{} must be a whole number", limit.name()))),
    };
    known.iter().map(max_of).collect()
}

/// RabbitMQ has queues of this name for MQTT clients. Without them they would fill for ever.
fn is_mqtt_session(queue: &str) -> bool {
    let is_session = queue.starts_with("mqtt-subscription-");
    is_session && (queue.ends_with("qos0") || queue.ends_with("qos1"))
}

const QUEUE_TYPE: &str = "x-queue-type";
/// The longest name that AMQP can say.
const NAME_BYTES_MAX: usize = 255;
/// What RabbitMQ's policies say to clusters and streams.
const FOREIGN_KEYS: [&str; 5] = [
    "initial-cluster-size",
    "max-age",
    "stream-filter-size-bytes",
    "stream-max-segment-size-bytes",
    "target-group-size",
];
