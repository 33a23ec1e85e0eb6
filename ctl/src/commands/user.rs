//! Users and their passwords.

use serde_json::{Value, json};

use super::Session;
use crate::args::{User, UserSpec};
use crate::ask;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::fill;

/// Does something with a user.
pub fn run(session: &Session<'_>, user: User) -> Result<(), Failure> {
    match user {
        User::Add(spec) => add(session, &spec),
        User::Delete { name } => delete(session, &name),
        User::Passwd { name, new_password_file } => {
            let tags = find(session, &name)?["tags"].take();
            let password = match new_password_file {
                Some(path) => ask::password_in(&path)?,
                None => ask::new_password(&name)?,
            };
            put(session, &name, &json!({ "password": password, "tags": tags }))?;
            session.output.done(&format!("user '{name}' has a new password"), "updated")
        }
        User::Tags { name, tags } => {
            find(session, &name)?;
            put(session, &name, &json!({ "tags": tags }))?;
            let shown = if tags.is_empty() { "no tags".to_owned() } else { tags.join(", ") };
            session.output.done(&format!("user '{name}' has {shown}"), "updated")
        }
    }
}

/// Makes a user, or changes one.
pub fn add(session: &Session<'_>, spec: &UserSpec) -> Result<(), Failure> {
    let UserSpec { name, tags, new_password_file, no_password } = spec;
    let body = match (new_password_file, no_password) {
        (_, true) => json!({ "password_hash": "", "tags": tags }),
        (Some(path), false) => json!({ "password": ask::password_in(path)?, "tags": tags }),
        (None, false) => json!({ "password": ask::new_password(name)?, "tags": tags }),
    };
    let created = put(session, name, &body)?;
    session.declared(&about(name), created)
}

/// Deletes a user.
pub fn delete(session: &Session<'_>, name: &str) -> Result<(), Failure> {
    let about = about(name);
    session.client.send(Ask::delete(fill("users/{name}", &[name]), &about))?;
    session.deleted(&about)
}

fn put(session: &Session<'_>, name: &str, body: &Value) -> Result<bool, Failure> {
    let about = about(name);
    Ok(session.client.send(Ask::put(fill("users/{name}", &[name]), &about, body))?.created())
}

/// A change of what is not there would make it.
fn find(session: &Session<'_>, name: &str) -> Result<Value, Failure> {
    session.client.json(Ask::read(fill("users/{name}", &[name]), &about(name)))
}

fn about(name: &str) -> String {
    format!("user '{name}'")
}
