//! Subscriptions: the bindings of sessions to topics.

use std::sync::Arc;

use leveret_core::{BindingEntry, QueueId, SubscriptionOptions, Topology, key_to_topic};
use serde_json::{Value, json};

use super::sessions::find;
use super::vhost;
use crate::management::call::{Answer, Call};
use crate::management::list;

struct Row {
    client_id: Arc<str>,
    filter: String,
    options: SubscriptionOptions,
}

/// `GET /mqtt/subscriptions`.
pub fn list(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    let mut sessions = call.node().lock_sessions().facts(&vhost);
    sessions.sort_unstable_by(|a, b| a.client.id.cmp(&b.client.id));
    let mut rows = Vec::new();
    // Others have their turn in between.
    for batch in sessions.chunks(SESSIONS_AT_ONCE) {
        let topology = call.node().topology();
        for session in batch {
            rows.extend(rows_of(&topology, session.queue, &session.client.id));
        }
    }
    answer(call, rows)
}

/// `GET /mqtt/sessions/:client_id/subscriptions`.
pub fn of_session(call: &Call) -> Answer {
    let session = find(call)?;
    let rows = rows_of(&call.node().topology(), session.queue, &session.client.id);
    answer(call, rows)
}

/// How many a session has.
pub fn count(topology: &Topology, queue: QueueId) -> usize {
    let bindings = topology.bindings_of_queue(queue);
    bindings.iter().filter(|binding| binding.subscription.is_some()).count()
}

fn rows_of(topology: &Topology, queue: QueueId, client_id: &Arc<str>) -> Vec<Row> {
    let bindings = topology.bindings_of_queue(queue);
    let rows = bindings.iter().filter_map(|binding| {
        let options = binding.subscription?;
        Some(Row { client_id: client_id.clone(), filter: filter(binding), options })
    });
    rows.collect()
}

/// As the client wrote it.
fn filter(binding: &BindingEntry<'_>) -> String {
    let filter = key_to_topic(binding.key);
    match binding.share_name() {
        None => filter.into_owned(),
        Some(share) => format!("$share/{share}/{filter}"),
    }
}

fn answer(call: &Call, rows: Vec<Row>) -> Answer {
    let render = |rows: &[&Row]| rows.iter().map(|row| Some(describe(row))).collect();
    list::answer(call, rows, |row: &Row| [&*row.client_id, &*row.filter], render)
}

fn describe(row: &Row) -> Value {
    json!({
        "client_id": &*row.client_id,
        "topic_filter": row.filter,
        "qos": row.options.qos,
        "no_local": row.options.no_local,
        "retain_as_published": row.options.retain_as_published,
        "subscription_id": row.options.id,
    })
}

/// Sessions that are looked at while the topology is locked.
const SESSIONS_AT_ONCE: usize = 100;
