//! Users.

use leveret_core::{TopologyCommand, User};
use serde_json::{Value, json};

use super::auth::Caller;
use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::reply::Reply;
use super::{limits, list};
use crate::server::password::Algorithm;
use crate::server::scram;

/// `GET /whoami`.
pub fn whoami(call: &Call) -> Answer {
    list::answer_one(call, describe_caller(&call.caller))
}

/// What a caller is told of itself; times in minutes, as RabbitMQ has them.
pub fn describe_caller(caller: &Caller) -> Value {
    let is_internal = caller.identity().is_internal();
    let mut described =
        json!({ "name": caller.name, "tags": caller.tags(), "is_internal_user": is_internal });
    if let Some(lifetime) = caller.session() {
        described["login_session_timeout"] = (lifetime.idle_max().as_secs() / 60).into();
    }
    described
}

/// `GET /users`.
pub fn list(call: &Call) -> Answer {
    let topology = call.node().topology();
    answer(call, topology.users())
}

/// `GET /users/without-permissions`: those who may enter no virtual host.
pub fn list_without_permissions(call: &Call) -> Answer {
    let topology = call.node().topology();
    answer(call, topology.users().filter(|(_, user)| user.permissions.is_empty()))
}

fn answer<'a>(call: &Call, users: impl Iterator<Item = (&'a str, &'a User)>) -> Answer {
    let render = |users: &[&(&str, &User)]| {
        users.iter().map(|(name, user)| Some(describe(name, user))).collect()
    };
    list::answer(call, users.collect(), |(name, _): &(&str, &User)| [*name], render)
}

/// `GET /users/:user`.
pub fn show(call: &Call) -> Answer {
    let name = call.part("user");
    let user = call.node().topology().user(name).map(|user| describe(name, user));
    list::answer_one(call, user.ok_or_else(Refusal::no_such_object)?)
}

/// `PUT /users/:user`.
pub fn put(call: &Call) -> Answer {
    let (name, fields) = (call.part("user"), call.fields()?);
    call.check_name(name)?;
    let before = call.node().topology().user(name).cloned().unwrap_or_default();
    let password = Password::of(&fields)?.unwrap_or(Password::Hash(before.password_hash.clone()));
    let (password_hash, scram_keys) = password.kept(before)?;
    let tags = fields.words("tags")?.unwrap_or_default();
    let name = name.into();
    let command = TopologyCommand::PutUser { name, password_hash, scram_keys, tags };
    let commanded = call.node().command(command)?;
    Ok(Reply::put(!commanded.applied.outcome.existed()).after(commanded.promise))
}

/// `DELETE /users/:user`: ends the user's connections and sessions as well.
pub fn delete(call: &Call) -> Answer {
    let name = call.part("user");
    let reply = call.delete(TopologyCommand::DeleteUser { name: name.into() })?;
    end_all_of(call, name);
    Ok(reply)
}

/// `POST /users/bulk-delete`: those that are not there are as good as deleted.
pub fn delete_many(call: &Call) -> Answer {
    let fields = call.fields()?;
    fields.require(&["users"])?;
    let names = fields.get("users").and_then(Value::as_array);
    let names = names.and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(names) = names else {
        return Err(Refusal::bad_request("users must be a list of strings"));
    };
    let mut promise = None;
    for name in names {
        let command = TopologyCommand::DeleteUser { name: name.into() };
        promise = promise.max(call.node().command(command)?.promise);
        end_all_of(call, name);
    }
    Ok(Reply::no_content().after(promise))
}

fn end_all_of(call: &Call, user: &str) {
    call.api.sessions.end_of(user);
    let reason = format!("user '{user}' is deleted");
    call.node().connections.close_where(&reason, |login| *login.user == *user);
}

/// How a password is given: as it is, or by its hash. An empty hash is for no login by password.
pub enum Password {
    /// As it is, and what it is to be hashed with.
    Plain(String, Algorithm),
    /// By its hash.
    Hash(String),
}

impl Password {
    /// What a user's fields say of it, if anything.
    ///
    /// # Errors
    /// If that makes no sense.
    pub fn of(fields: &Fields) -> Result<Option<Password>, Refusal> {
        let named = match fields.text("hashing_algorithm")? {
            None => None,
            Some(name) => Some(Algorithm::named(name).ok_or_else(|| {
                Refusal::bad_request(format!("hashing algorithm '{name}' is not supported"))
            })?),
        };
        match (fields.text("password")?, fields.text("password_hash")?) {
            (Some(_), Some(_)) => {
                Err(Refusal::bad_request("password and password_hash cannot both be given"))
            }
            (Some(""), None) => Err(Refusal::bad_request("a password cannot be empty")),
            (Some(password), None) => {
                let algorithm = named.unwrap_or(Algorithm::Argon2id);
                Ok(Some(Password::Plain(password.to_owned(), algorithm)))
            }
            (None, Some(hash)) => {
                check_hash(hash, named)?;
                Ok(Some(Password::Hash(hash.to_owned())))
            }
            (None, None) => Ok(None),
        }
    }

    /// Its hash, and its SCRAM keys as far as they are known: a hash that stays is the same password.
    ///
    /// # Errors
    /// If it is to be hashed with what is not used for new passwords.
    pub fn kept(self, before: User) -> Result<(String, String), Refusal> {
        match self {
            Password::Plain(password, algorithm) => {
                let keys = scram::Keys::of_password(&password).to_string();
                let hash = algorithm.hash(password.as_bytes()).ok_or_else(|| {
                    let name = algorithm.name();
                    Refusal::bad_request(format!("{name} is not used for new passwords"))
                })?;
                Ok((hash, keys))
            }
            Password::Hash(hash) if hash == before.password_hash => Ok((hash, before.scram_keys)),
            Password::Hash(hash) => Ok((hash, String::new())),
        }
    }
}

fn check_hash(hash: &str, named: Option<Algorithm>) -> Result<(), Refusal> {
    match (Algorithm::of(hash), named) {
        _ if hash.is_empty() => Ok(()),
        (None, _) => Err(Refusal::bad_request(
            "password_hash is no hash of a supported form, or one that takes too much to check",
        )),
        (Some(found), Some(named)) if found != named => {
            let (found, named) = (found.name(), named.name());
            Err(Refusal::bad_request(format!("password_hash is of {found}, not of {named}")))
        }
        _ => Ok(()),
    }
}

/// A user as management shows it.
pub fn describe(name: &str, user: &User) -> Value {
    let algorithm = Algorithm::of(&user.password_hash).unwrap_or(Algorithm::Sha256);
    json!({
        "name": name,
        "password_hash": user.password_hash,
        "hashing_algorithm": algorithm.name(),
        "tags": user.tags,
        "limits": limits::object(&user.limits),
    })
}
