//! Users.

use leveret_core::User;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::list;

/// `GET /whoami`.
pub fn whoami(call: &Call) -> Answer {
    let caller = &call.caller;
    let me = json!({ "name": caller.name, "tags": caller.tags(), "is_internal_user": true });
    list::answer_one(call, me)
}

/// `GET /users`.
pub fn list(call: &Call) -> Answer {
    call.caller.check_administrator()?;
    let topology = call.node().topology();
    list::answer_whole(call, topology.users().map(|(name, user)| describe(name, user)))
}

/// `GET /users/:user`.
pub fn show(call: &Call) -> Answer {
    call.caller.check_administrator()?;
    let name = call.part("user");
    let user = call.node().topology().user(name).map(|user| describe(name, user));
    list::answer_one(call, user.ok_or_else(Refusal::no_such_object)?)
}

fn describe(name: &str, user: &User) -> Value {
    json!({
        "name": name,
        "password_hash": user.password_hash,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": user.tags,
        "limits": {},
    })
}
