//! How often clients have logged in, or tried to, by protocol. Who they were and where they came from is
//! not counted.

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::{list, node};
use crate::server::counts::Dialect;

/// `GET /auth/attempts/:node`.
pub fn of_node(call: &Call) -> Answer {
    check_node(call)?;
    list::answer_whole(call, Dialect::ALL.map(|dialect| describe(call, dialect)))
}

/// `GET /auth/attempts/:node/source`.
pub fn by_source(call: &Call) -> Answer {
    check_node(call)?;
    list::answer_whole(call, Vec::<Value>::new())
}

fn check_node(call: &Call) -> Result<(), Refusal> {
    match call.part("node") == node::name() {
        true => Ok(()),
        false => Err(Refusal::no_such_object()),
    }
}

fn describe(call: &Call, dialect: Dialect) -> Value {
    let (succeeded, failed) = call.node().logins.of(dialect);
    json!({
        "protocol": dialect.label(),
        "auth_attempts": succeeded + failed,
        "auth_attempts_failed": failed,
        "auth_attempts_succeeded": succeeded,
    })
}
