//! The commands that change a topology, and the form in which they are journaled.
//!
//! That form is JSON with a version, so that it can be read by eye and grow by fields with
//! defaults:
//!
//! ```json
//! {"version":1,"command":{"delete_queue":{"id":7}}}
//! ```
//!
//! Several that are carried out as one have a list in the place of the command.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    Binding, Limit, ParameterName, Permissions, Policy, PolicyKind, QueueSpec, SubscriptionOptions,
    TopicPermissions, VhostFacts,
};
use crate::exchange::ExchangeSpec;
use crate::id::QueueId;

/// A change of the topology. Nothing in it depends on when and where it is applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopologyCommand {
    /// Creates a virtual host with its predeclared exchanges.
    DeclareVhost {
        /// Its name.
        vhost: Arc<str>,
    },
    /// Changes what is known of a virtual host.
    DescribeVhost {
        /// Its name.
        vhost: Arc<str>,
        /// What is known from now on.
        facts: VhostFacts,
    },
    /// Deletes a virtual host and everything in it, unless it is protected.
    DeleteVhost {
        /// Its name.
        vhost: Arc<str>,
    },
    /// Creates an exchange, or checks that an equal one exists.
    DeclareExchange {
        /// The virtual host.
        vhost: Arc<str>,
        /// Its name.
        name: Arc<str>,
        /// Its properties.
        spec: ExchangeSpec,
        /// The queue that it keeps messages in, if its type does. Left out, the next number is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own_queue: Option<QueueId>,
    },
    /// Deletes an exchange and its bindings.
    DeleteExchange {
        /// The virtual host.
        vhost: Arc<str>,
        /// Its name.
        name: Arc<str>,
        /// Refuse if it is the source of a binding.
        #[serde(default)]
        if_unused: bool,
    },
    /// Creates a queue, or checks that an equal one exists.
    DeclareQueue {
        /// The identity it gets if it is new:
        /// [`Topology::next_queue_id`](super::Topology::next_queue_id).
        id: QueueId,
        /// The virtual host.
        vhost: Arc<str>,
        /// Its name.
        name: Arc<str>,
        /// Its properties.
        spec: QueueSpec,
        /// The broker chose the name, so that it may begin with `amq.`.
        #[serde(default)]
        server_named: bool,
    },
    /// Deletes a queue and its bindings.
    DeleteQueue {
        /// The queue.
        id: QueueId,
    },
    /// Changes how long an MQTT session outlives its connection.
    SetSessionExpiry {
        /// The session's queue.
        id: QueueId,
        /// The session expiry interval in seconds; `u32::MAX` is for ever.
        expiry_s: u32,
    },
    /// Creates a binding, or replaces the subscription options of an equal one.
    Bind {
        /// The virtual host.
        vhost: Arc<str>,
        /// The binding.
        binding: Binding,
        /// The options, if it is an MQTT subscription.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscription: Option<SubscriptionOptions>,
    },
    /// Removes a binding.
    Unbind {
        /// The virtual host.
        vhost: Arc<str>,
        /// The binding.
        binding: Binding,
    },
    /// Creates a user or changes its password and tags; permissions stay.
    PutUser {
        /// The user's name.
        name: Arc<str>,
        /// As in [`User`](super::User).
        password_hash: String,
        /// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` of the same password; empty if that is
        /// not known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        scram_keys: String,
        /// Tags such as `administrator`.
        #[serde(default)]
        tags: Vec<String>,
    },
    /// Deletes a user with all permissions.
    DeleteUser {
        /// The user's name.
        name: Arc<str>,
    },
    /// Sets what a user may do in a virtual host.
    SetPermissions {
        /// The user's name.
        user: Arc<str>,
        /// The virtual host.
        vhost: Arc<str>,
        /// What the user may do.
        permissions: Permissions,
    },
    /// Takes a user's access to a virtual host away.
    ClearPermissions {
        /// The user's name.
        user: Arc<str>,
        /// The virtual host.
        vhost: Arc<str>,
    },
    /// Sets what a user may do with single topics of an exchange.
    SetTopicPermissions {
        /// The user's name.
        user: Arc<str>,
        /// The virtual host.
        vhost: Arc<str>,
        /// The exchange, which need not be there.
        exchange: Arc<str>,
        /// What the user may do.
        permissions: TopicPermissions,
    },
    /// Leaves topics of an exchange, or of all, to what the user may do with the exchange.
    ClearTopicPermissions {
        /// The user's name.
        user: Arc<str>,
        /// The virtual host.
        vhost: Arc<str>,
        /// The exchange; `None` is all of the virtual host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<Arc<str>>,
    },
    /// Makes a policy, or replaces the one of this name.
    PutPolicy {
        /// The virtual host.
        vhost: Arc<str>,
        /// Whether it is an operator policy.
        #[serde(default)]
        kind: PolicyKind,
        /// Its name.
        name: Arc<str>,
        /// What it says.
        policy: Policy,
    },
    /// Deletes a policy.
    DeletePolicy {
        /// The virtual host.
        vhost: Arc<str>,
        /// Whether it is an operator policy.
        #[serde(default)]
        kind: PolicyKind,
        /// Its name.
        name: Arc<str>,
    },
    /// Limits a virtual host.
    SetVhostLimit {
        /// The virtual host.
        vhost: Arc<str>,
        /// What is limited.
        limit: Limit,
        /// To how many; a negative number is without limit.
        max: i64,
    },
    /// Takes a limit of a virtual host away.
    ClearVhostLimit {
        /// The virtual host.
        vhost: Arc<str>,
        /// What is no longer limited.
        limit: Limit,
    },
    /// Limits a user.
    SetUserLimit {
        /// The user's name.
        user: Arc<str>,
        /// What is limited.
        limit: Limit,
        /// To how many; a negative number is without limit.
        max: i64,
    },
    /// Takes a limit of a user away.
    ClearUserLimit {
        /// The user's name.
        user: Arc<str>,
        /// What is no longer limited.
        limit: Limit,
    },
    /// Sets a runtime parameter.
    SetParameter {
        /// What it is called.
        name: ParameterName,
        /// Its value.
        value: serde_json::Value,
    },
    /// Forgets a runtime parameter.
    ClearParameter {
        /// What it is called.
        name: ParameterName,
    },
    /// Sets what the broker derives from that nobody else can: [`Topology::secret`](super::Topology::secret).
    SetSecret {
        /// Any text that cannot be guessed.
        secret: Arc<str>,
    },
    /// Says that queue ids up to this one have been given out. Snapshots contain it.
    ReserveQueueIds {
        /// The highest id.
        up_to: QueueId,
    },
}

/// A journaled command cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandFormatError {
    /// It is damaged, or names something that this version does not know.
    #[error("a topology command cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A later version of the broker wrote it.
    #[error("a topology command has version {0}, this broker knows up to {VERSION}")]
    Version(u32),
}

impl TopologyCommand {
    /// The journaled form.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// The journaled form of several commands that are carried out as one.
    pub fn batch_to_json(commands: &[TopologyCommand]) -> Vec<u8> {
        to_json(&commands)
    }

    /// Reads the journaled form.
    ///
    /// # Errors
    /// The bytes are not such a form, or of a later version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CommandFormatError> {
        from_json(bytes)
    }

    /// Reads the journaled form of several commands.
    ///
    /// # Errors
    /// As [`TopologyCommand::from_json`].
    pub fn batch_from_json(bytes: &[u8]) -> Result<Vec<Self>, CommandFormatError> {
        from_json(bytes)
    }

    /// Whether a route may be another one after it, or not be for somebody. A new exchange has no
    /// bindings yet, and numbers do not take part.
    pub(super) fn may_reroute(&self) -> bool {
        matches!(
            self,
            TopologyCommand::DeleteVhost { .. }
                | TopologyCommand::DeleteExchange { .. }
                | TopologyCommand::DeclareQueue { .. }
                | TopologyCommand::DeleteQueue { .. }
                | TopologyCommand::Bind { .. }
                | TopologyCommand::Unbind { .. }
                | TopologyCommand::DeleteUser { .. }
                | TopologyCommand::SetPermissions { .. }
                | TopologyCommand::ClearPermissions { .. }
                | TopologyCommand::SetTopicPermissions { .. }
                | TopologyCommand::ClearTopicPermissions { .. }
                | TopologyCommand::PutPolicy { .. }
                | TopologyCommand::DeletePolicy { .. }
        )
    }
}

fn to_json<C: Serialize>(command: &C) -> Vec<u8> {
    let versioned = Versioned { version: VERSION, command };
    serde_json::to_vec(&versioned).expect("commands are made of texts, numbers and lists")
}

fn from_json<C: DeserializeOwned>(bytes: &[u8]) -> Result<C, CommandFormatError> {
    let Version { version } = serde_json::from_slice(bytes)?;
    if version > VERSION {
        return Err(CommandFormatError::Version(version));
    }
    let Versioned { command, .. } = serde_json::from_slice(bytes)?;
    Ok(command)
}

#[derive(Serialize, Deserialize)]
struct Versioned<C> {
    version: u32,
    command: C,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journaled_form_is_as_documented() {
        let command = TopologyCommand::DeleteQueue { id: QueueId(7) };
        let json = br#"{"version":1,"command":{"delete_queue":{"id":7}}}"#;
        assert_eq!(command.to_json(), json);
        assert_eq!(TopologyCommand::from_json(json).unwrap(), command);
    }

    #[test]
    fn several_commands_are_a_list() {
        let commands = [7, 8].map(|id| TopologyCommand::DeleteQueue { id: QueueId(id) });
        let json = TopologyCommand::batch_to_json(&commands);
        let form =
            br#"{"version":1,"command":[{"delete_queue":{"id":7}},{"delete_queue":{"id":8}}]}"#;
        assert_eq!(json, form);
        assert_eq!(TopologyCommand::batch_from_json(&json).unwrap(), commands);
        assert!(TopologyCommand::from_json(&json).is_err());
    }

    #[test]
    fn a_later_version_is_named_and_nonsense_is_refused() {
        let later = br#"{"version":2,"command":{"grow_wings":{}}}"#;
        assert!(matches!(TopologyCommand::from_json(later), Err(CommandFormatError::Version(2))));
        for bytes in [&b""[..], b"{}", b"[1]", br#"{"version":1,"command":{"no_such":{}}}"#] {
            assert!(TopologyCommand::from_json(bytes).is_err());
        }
    }
}
