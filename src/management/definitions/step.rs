//! What an entry of definitions asks for. Where that depends on what is there already, it is found out
//! when its turn comes.

use std::sync::Arc;

use leveret_core::{
    Binding, Destination, Limit, QueueId, QueueSpec, QueueType, Syntax, Table, TopologyCommand,
    TopologyError, VhostFacts,
};

use crate::server::batch::Batch;

/// See the module's documentation.
#[derive(Debug)]
pub enum Step {
    /// Nothing depends on anything.
    Command(TopologyCommand),
    /// A user. Without keys, those of the same password stay.
    User { name: Arc<str>, password_hash: String, scram_keys: Option<String>, tags: Vec<String> },
    /// A virtual host, and what is said of it.
    Vhost {
        name: Arc<str>,
        description: Option<String>,
        tags: Option<Vec<String>>,
        protected: Option<bool>,
    },
    /// A queue.
    Queue { vhost: Arc<str>, name: Arc<str>, spec: QueueSpec },
    /// A binding, its destination by name.
    Bind { vhost: Arc<str>, source: Arc<str>, to: End, key: Arc<str>, arguments: Table },
}

/// The destination of a binding.
#[derive(Debug)]
pub enum End {
    /// A queue.
    Queue(String),
    /// An exchange.
    Exchange(Arc<str>),
}

impl Step {
    /// A limit of a virtual host, or that it has none.
    pub fn limit_vhost(vhost: &Arc<str>, (limit, max): (Limit, Option<i64>)) -> Step {
        let vhost = Arc::clone(vhost);
        Step::Command(match max {
            Some(max) => TopologyCommand::SetVhostLimit { vhost, limit, max },
            None => TopologyCommand::ClearVhostLimit { vhost, limit },
        })
    }

    /// A limit of a user, or that it has none.
    pub fn limit_user(user: &Arc<str>, (limit, max): (Limit, Option<i64>)) -> Step {
        let user = Arc::clone(user);
        Step::Command(match max {
            Some(max) => TopologyCommand::SetUserLimit { user, limit, max },
            None => TopologyCommand::ClearUserLimit { user, limit },
        })
    }

    /// Does it.
    ///
    /// # Errors
    /// If the topology refuses it.
    pub fn apply(self, batch: &mut Batch) -> Result<(), TopologyError> {
        let command = match self {
            Step::Command(command) => command,
            Step::User { name, password_hash, scram_keys, tags } => {
                let before = batch.topology().user(&name);
                let same = before.filter(|user| user.password_hash == password_hash);
                let known = || same.map(|user| user.scram_keys.clone());
                let scram_keys = scram_keys.or_else(known).unwrap_or_default();
                TopologyCommand::PutUser { name, password_hash, scram_keys, tags }
            }
            Step::Vhost { name, description, tags, protected } => {
                batch.apply(TopologyCommand::DeclareVhost { vhost: name.clone() })?;
                let before = batch.topology().vhost_facts(&name).cloned().unwrap_or_default();
                let facts = VhostFacts {
                    description: description.unwrap_or(before.description),
                    tags: tags.unwrap_or(before.tags),
                    protected: protected.unwrap_or(before.protected),
                };
                TopologyCommand::DescribeVhost { vhost: name, facts }
            }
            Step::Queue { vhost, name, spec } => declare_queue(batch, vhost, name, spec),
            Step::Bind { vhost, source, to, key, arguments } => {
                let destination = match to {
                    End::Exchange(name) => Destination::Exchange(name),
                    End::Queue(name) => Destination::Queue(queue_of(batch, &vhost, &name)?),
                };
                let syntax = Syntax::Amqp;
                let binding = Binding { source, destination, key, arguments, syntax };
                TopologyCommand::Bind { vhost, binding, subscription: None }
            }
        };
        batch.apply(command).map(|_| ())
    }
}

/// Whoever made the definitions may have let its broker choose the name.
fn declare_queue(
    batch: &Batch,
    vhost: Arc<str>,
    name: Arc<str>,
    spec: QueueSpec,
) -> TopologyCommand {
    let server_named = name.starts_with("amq.") && spec.queue_type() == QueueType::Classic;
    TopologyCommand::DeclareQueue {
        id: batch.topology().next_queue_id(),
        vhost,
        name,
        spec,
        server_named,
    }
}

/// A queue that belongs to a connection is no business of anybody else.
fn queue_of(batch: &Batch, vhost: &str, name: &str) -> Result<QueueId, TopologyError> {
    let queue = batch.topology().queue(vhost, name)?;
    queue.check_access(crate::management::queues::NOBODY)?;
    Ok(queue.id)
}
