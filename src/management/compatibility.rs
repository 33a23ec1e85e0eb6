//! What clients of RabbitMQ ask for and this broker has no use for: feature flags, plugins.

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::list;
use super::reply::Reply;

/// A list of things that there are none of. If the path names a virtual host, it has to be there.
pub fn nothing(call: &Call) -> Answer {
    call.vhosts()?;
    list::answer_whole(call, [])
}

/// `GET /feature-flags`: RabbitMQ's flags for what the broker does as well.
pub fn features(call: &Call) -> Answer {
    list::answer_whole(call, FEATURES.iter().map(describe))
}

/// `PUT /feature-flags/:name/enable`: all are, always.
pub fn enable_feature(call: &Call) -> Answer {
    let name = call.part("name");
    match FEATURES.iter().any(|(known, _)| *known == name) {
        true => Ok(Reply::no_content()),
        false => Err(Refusal::no_such_object()),
    }
}

fn describe((name, description): &(&str, &str)) -> Value {
    json!({
        "name": name,
        "state": "enabled",
        "stability": "required",
        "desc": description,
        "doc_url": "",
        "provided_by": "leveret",
    })
}

const FEATURES: &[(&str, &str)] = &[
    ("detailed_queues_endpoint", "Queues can be listed at /api/queues/detailed"),
    ("user_limits", "Connections and channels of a user can be limited"),
    ("virtual_host_metadata", "Virtual hosts have a description and tags"),
];
