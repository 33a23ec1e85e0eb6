//! What can be deleted.

use clap::Subcommand;

use super::Pair;

/// What is deleted.
#[derive(Debug, Subcommand)]
pub enum Delete {
    /// Delete a queue and its messages
    Queue {
        /// The queue
        name: String,
        /// Only if nobody consumes from it
        #[arg(long)]
        if_unused: bool,
        /// Only if it has no messages
        #[arg(long)]
        if_empty: bool,
    },
    /// Delete an exchange
    Exchange {
        /// The exchange
        name: String,
        /// Only if nothing is bound to it
        #[arg(long)]
        if_unused: bool,
    },
    /// Delete the binding with this key and these arguments
    Binding {
        /// The exchange that messages come from
        source: String,
        /// The queue that they go to
        destination: String,
        /// Routing key, or pattern
        #[arg(short, long, value_name = "KEY", default_value = "")]
        key: String,
        /// The destination is an exchange
        #[arg(long)]
        to_exchange: bool,
        /// Argument, as x-match=all
        #[arg(short, long = "argument", value_name = "NAME=VALUE")]
        arguments: Vec<Pair>,
    },
    /// Delete a virtual host with everything in it
    Vhost {
        /// The virtual host
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// End the session of an MQTT client, with what waits for it
    Session {
        /// The client's identifier
        client_id: String,
    },
    /// Delete a user and close its connections
    User {
        /// The user
        name: String,
    },
    /// Take a user's permissions in a virtual host away
    Permissions {
        /// The user
        name: String,
    },
    /// Take a user's topic permissions away; without them, all topics are allowed
    TopicPermissions {
        /// The user
        name: String,
        /// Only those for this exchange
        exchange: Option<String>,
    },
    /// Delete a policy
    Policy {
        /// The policy
        name: String,
    },
    /// Delete an operator policy
    OperatorPolicy {
        /// The policy
        name: String,
    },
    /// Take a limit of a virtual host away
    VhostLimit {
        /// The limit
        limit: String,
    },
    /// Take a limit of a user away
    UserLimit {
        /// The user
        name: String,
        /// The limit
        limit: String,
    },
    /// Delete a parameter of a component in a virtual host
    Parameter {
        /// The component
        component: String,
        /// The parameter
        name: String,
    },
    /// Delete a global parameter
    GlobalParameter {
        /// The parameter
        name: String,
    },
}
