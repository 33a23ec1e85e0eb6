//! Virtual hosts.

use std::sync::Arc;

use leveret_core::QueueId;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::rates::{self, Thing};
use super::{list, node, totals};

/// `GET /vhosts`.
pub fn list(call: &Call) -> Answer {
    let vhosts = call.vhosts()?;
    list::answer_whole(call, vhosts.iter().map(|vhost| describe(call, vhost)))
}

/// `GET /vhosts/:vhost`.
pub fn show(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    list::answer_one(call, describe(call, &vhost))
}

fn describe(call: &Call, vhost: &Arc<str>) -> Value {
    let queues: Vec<QueueId> =
        call.node().topology().queues(vhost).iter().map(|queue| queue.id).collect();
    let stats = totals::total_of(call.node(), &queues);
    let (depth, history) = totals::measure(&call.api.rates, Thing::Vhost(vhost.clone()), &stats);
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(&**vhost));
    object.insert("description".to_owned(), json!(""));
    object.insert("tags".to_owned(), json!([]));
    object.insert("metadata".to_owned(), json!({ "description": "", "tags": [] }));
    object.insert("default_queue_type".to_owned(), json!("classic"));
    object.insert("tracing".to_owned(), json!(false));
    object.insert("protected_from_deletion".to_owned(), json!(false));
    object.insert("cluster_state".to_owned(), json!({ node::name(): "running" }));
    object.insert("message_stats".to_owned(), rates::object(&history));
    rates::put(&mut object, &depth);
    Value::Object(object)
}
