//! The commands: what each asks of the broker, and how it shows the answer.

mod close;
mod declare;
mod definitions;
mod delete;
mod list;
mod messages;
mod status;
mod user;

use serde_json::{Map, Value};

use crate::args::{Close, Command, Pair};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// What all commands work with.
pub struct Session<'a> {
    client: &'a Client,
    output: &'a Output,
    /// The virtual host that was named.
    named_vhost: Option<&'a str>,
}

/// Carries out a command.
pub fn run(
    client: &Client,
    output: &Output,
    named_vhost: Option<&str>,
    command: Command,
) -> Result<(), Failure> {
    let session = Session { client, output, named_vhost };
    match command {
        Command::Status => status::status(&session),
        Command::Health { check } => status::health(&session, &check),
        Command::List(list) => list::list(&session, &list),
        Command::Show { kind, names } => list::show(&session, &kind, &names),
        Command::Declare(declare) => declare::declare(&session, declare),
        Command::Delete(delete) => delete::delete(&session, delete),
        Command::Purge { queue } => messages::purge(&session, &queue),
        Command::Peek(wanted) => messages::peek(&session, &wanted),
        Command::Get(wanted) => messages::get(&session, &wanted),
        Command::Publish(message) => messages::publish(&session, message),
        Command::Close(Close::Connection(which)) => close::connections(&session, &which),
        Command::Definitions(what) => definitions::run(&session, &what),
        Command::User(user) => user::run(&session, user),
        Command::Completions { shell } => output.completions(shell),
    }
}

impl Session<'_> {
    /// The virtual host that a command is about.
    fn vhost(&self) -> &str {
        self.named_vhost.unwrap_or("/")
    }

    /// Something in the virtual host, as a person names it.
    fn thing(&self, kind: &str, name: &str) -> String {
        format!("{kind} '{name}' in vhost '{}'", self.vhost())
    }

    /// Says that something was made, or was there already.
    fn declared(&self, about: &str, created: bool) -> Result<(), Failure> {
        match created {
            true => self.output.done(&format!("{about} is created"), "created"),
            false => self.output.done(&format!("{about} is up to date"), "updated"),
        }
    }

    /// Says that something was deleted.
    fn deleted(&self, about: &str) -> Result<(), Failure> {
        self.output.done(&format!("{about} is deleted"), "deleted")
    }
}

/// Pairs as an object.
fn object(pairs: Vec<Pair>) -> Map<String, Value> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

/// An exchange as a path names it.
fn exchange_part(name: &str) -> &str {
    if name.is_empty() { "amq.default" } else { name }
}
