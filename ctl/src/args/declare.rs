//! What can be declared.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use serde_json::Value;

/// What is made or changed.
#[derive(Debug, Subcommand)]
pub enum Declare {
    /// Make a queue
    Queue {
        /// The queue
        name: String,
        /// Its type: classic or quorum
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Gone after a restart
        #[arg(long)]
        transient: bool,
        /// Gone with its last consumer
        #[arg(long)]
        auto_delete: bool,
        /// Argument, as x-max-length=1000
        #[arg(short, long = "argument", value_name = "NAME=VALUE")]
        arguments: Vec<Pair>,
    },
    /// Make an exchange
    Exchange {
        /// The exchange
        name: String,
        /// Its type: direct, fanout, topic, headers or another that the broker has
        #[arg(long = "type", value_name = "TYPE", default_value = "direct")]
        kind: String,
        /// Gone after a restart
        #[arg(long)]
        transient: bool,
        /// Gone with its last binding
        #[arg(long)]
        auto_delete: bool,
        /// Only other exchanges send to it
        #[arg(long)]
        internal: bool,
        /// Argument, as alternate-exchange=others
        #[arg(short, long = "argument", value_name = "NAME=VALUE")]
        arguments: Vec<Pair>,
    },
    /// Bind a queue to an exchange
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
    /// Make a virtual host, or describe it anew
    Vhost {
        /// The virtual host
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Tags, separated by commas
        #[arg(long, value_name = "TAGS")]
        tags: Option<String>,
        /// Whether it cannot be deleted
        #[arg(long, value_name = "BOOLEAN")]
        protected: Option<bool>,
    },
    /// Make a user, or change one
    User(UserSpec),
    /// Set what a user may do in a virtual host, by patterns of names
    Permissions {
        /// The user
        name: String,
        /// What may be declared and deleted
        #[arg(long, value_name = "PATTERN", default_value = ".*")]
        configure: String,
        /// What may be written to
        #[arg(long, value_name = "PATTERN", default_value = ".*")]
        write: String,
        /// What may be read from
        #[arg(long, value_name = "PATTERN", default_value = ".*")]
        read: String,
    },
    /// Set which routing keys or topics a user may use at an exchange
    TopicPermissions {
        /// The user
        name: String,
        /// The exchange
        exchange: String,
        /// What may be written
        #[arg(long, value_name = "PATTERN", default_value = ".*")]
        write: String,
        /// What may be read
        #[arg(long, value_name = "PATTERN", default_value = ".*")]
        read: String,
    },
    /// Set a policy
    Policy(Rules),
    /// Set an operator policy
    OperatorPolicy(Rules),
    /// Limit a virtual host: max-connections or max-queues
    VhostLimit {
        /// The limit
        limit: String,
        /// Its value; -1 is none
        #[arg(allow_negative_numbers = true)]
        value: i64,
    },
    /// Limit a user: max-connections or max-channels
    UserLimit {
        /// The user
        name: String,
        /// The limit
        limit: String,
        /// Its value; -1 is none
        #[arg(allow_negative_numbers = true)]
        value: i64,
    },
    /// Set a parameter of a component in a virtual host
    Parameter {
        /// The component
        component: String,
        /// The parameter
        name: String,
        /// Its value, as JSON
        value: Json,
    },
    /// Set a global parameter
    GlobalParameter {
        /// The parameter
        name: String,
        /// Its value, as JSON
        value: Json,
    },
}

/// A user.
#[derive(Debug, Args)]
pub struct UserSpec {
    /// The user
    pub name: String,
    /// Tags, separated by commas: administrator, monitoring, policymaker, management or others
    #[arg(long, value_name = "TAGS", default_value = "")]
    pub tags: String,
    /// File whose first line is the password; it is asked for if there is none
    #[arg(long, value_name = "PATH")]
    pub new_password_file: Option<PathBuf>,
    /// Nobody logs in as this user with a password
    #[arg(long, conflicts_with = "new_password_file")]
    pub no_password: bool,
}

/// A policy.
#[derive(Debug, Args)]
pub struct Rules {
    /// The policy
    pub name: String,
    /// Pattern of the names that it is for
    pub pattern: String,
    /// What it sets, as max-length=1000
    #[arg(required = true, value_name = "NAME=VALUE")]
    pub definition: Vec<Pair>,
    /// What it is for: queues, exchanges, all or another that the broker has
    #[arg(long, value_name = "KIND")]
    pub apply_to: Option<String>,
    /// The one with the highest priority wins
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i64,
}

/// A name and a value: what is JSON is taken as that, and anything else as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
                Ok(Pair { name: name.to_owned(), value })
            }
            _ => Err("expected NAME=VALUE".to_owned()),
        }
    }
}

/// Any JSON.
#[derive(Debug, Clone)]
pub struct Json(pub Value);

impl FromStr for Json {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        Ok(Json(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_json_if_it_can_be_and_text_if_not() {
        for (text, value) in [
            ("a=1", json!(1)),
            ("a=true", json!(true)),
            ("a=x=y", json!("x=y")),
            ("a=", json!("")),
            ("a=\"1\"", json!("1")),
            ("a={\"b\":[]}", json!({"b": []})),
        ] {
            assert_eq!(text.parse(), Ok(Pair { name: "a".to_owned(), value }), "{text}");
        }
        for text in ["", "a", "=1"] {
            assert!(text.parse::<Pair>().is_err(), "{text}");
        }
    }
}
