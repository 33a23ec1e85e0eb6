//! How often clients have logged in, or tried to, by protocol: since the start, or since somebody had it
//! forgotten here; metrics count on. Who they were and where they came from is not counted.

use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::list;
use super::reply::Reply;
use crate::server::counts::Dialect;

/// What is forgotten: how many had succeeded and failed by then.
#[derive(Debug, Default)]
pub struct Forgotten(Mutex<[(u64, u64); Dialect::ALL.len()]>);

impl Forgotten {
    fn lock(&self) -> MutexGuard<'_, [(u64, u64); Dialect::ALL.len()]> {
        self.0.lock().expect("nothing panics while it holds the numbers")
    }
}

/// `GET /auth/attempts/:node`.
pub fn of_node(call: &Call) -> Answer {
    call.check_node()?;
    list::answer_whole(call, SHOWN.map(|(protocol, dialects)| describe(call, protocol, dialects)))
}

/// `GET /auth/attempts/:node/source`.
pub fn by_source(call: &Call) -> Answer {
    call.check_node()?;
    list::answer_whole(call, Vec::<Value>::new())
}

/// `DELETE /auth/attempts/:node`.
pub fn forget(call: &Call) -> Answer {
    call.check_node()?;
    *call.api.forgotten_attempts.lock() =
        Dialect::ALL.map(|dialect| call.node().logins.of(dialect));
    Ok(Reply::no_content())
}

fn describe(call: &Call, protocol: &str, dialects: &[Dialect]) -> Value {
    let forgotten = call.api.forgotten_attempts.lock();
    let (mut succeeded, mut failed) = (0, 0);
    for &dialect in dialects {
        let (before, now) = (forgotten[dialect as usize], call.node().logins.of(dialect));
        succeeded += now.0.saturating_sub(before.0);
        failed += now.1.saturating_sub(before.1);
    }
    json!({
        "protocol": protocol,
        "auth_attempts": succeeded + failed,
        "auth_attempts_failed": failed,
        "auth_attempts_succeeded": succeeded,
    })
}

/// The protocols, as RabbitMQ's tools know them. Programs that embed the broker do not log in.
const SHOWN: [(&str, &[Dialect]); 3] = [
    ("amqp091", &[Dialect::Amqp091]),
    ("mqtt", &[Dialect::Mqtt310, Dialect::Mqtt311, Dialect::Mqtt50]),
    ("http", &[Dialect::Http]),
];
