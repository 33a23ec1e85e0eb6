//! Retained messages. There may be a million: they come in pieces, each of which says where the next
//! one begins, or in pages of the first hundred thousand.

use std::sync::Arc;

use leveret_core::{Body, Draft, Encoding, Facts, Message, Pattern, key_to_topic, topic_to_key};
use serde_json::{Value, json};

use super::vhost;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::get::message_to_json;
use crate::management::list;
use crate::management::page::Page;
use crate::management::reply::Reply;
use crate::server::clock;
use crate::server::frontend::mqtt::TOPIC_EXCHANGE;

/// `GET /mqtt/retained?filter=a/%2B&after=a/b&limit=100`: those whose topics the caller may read.
pub fn list(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    if Page::is_wanted(call) {
        return page(call, &vhost);
    }
    let after = call.parameter("after").map(topic_to_key);
    let limit = match call.parameter("limit").map(str::parse) {
        None => LIMIT,
        Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
        Some(_) => {
            return Err(Refusal::bad_request(format!("limit must be between 1 and {LIMIT_MAX}")));
        }
    };
    let is_enough = |found: usize, bytes| found == limit || bytes >= BODIES_BYTES_MAX;
    let Readable { found, is_whole, total } =
        Readable::find(call, &vhost, after.as_deref(), is_enough);
    let next = found.last().filter(|_| !is_whole);
    let next = next.map(|message| key_to_topic(message.routing_key()).into_owned());
    let payload = payload(call, usize::MAX);
    let items: Vec<Value> = found.iter().map(|message| describe(message, payload)).collect();
    Ok(Reply::json(&json!({ "items": items, "next": next, "total_count": total })))
}

/// `GET /mqtt/retained?page=1`: no more than the beginning of each body.
fn page(call: &Call, vhost: &str) -> Answer {
    let found = Readable::find(call, vhost, None, |_, _| false).found.into_iter();
    let row = |message: Arc<Message>| (key_to_topic(message.routing_key()).into_owned(), message);
    let payload = payload(call, PAYLOAD_BYTES_MAX);
    let render = |rows: &[&(String, Arc<Message>)]| {
        rows.iter().map(|(_, message)| Some(describe(message, payload))).collect()
    };
    list::answer(call, found.map(row).collect(), |(topic, _)| [topic.as_str()], render)
}

/// What the caller may read.
struct Readable {
    found: Vec<Arc<Message>>,
    /// Whether it is all of it.
    is_whole: bool,
    /// How many messages there are is for those who may read all of them.
    total: Option<usize>,
}

impl Readable {
    /// Looks for what matches the filter of the call, behind a topic, until it is enough.
    fn find(
        call: &Call,
        vhost: &str,
        after: Option<&str>,
        is_enough: impl Fn(usize, usize) -> bool,
    ) -> Readable {
        let key = topic_to_key(call.parameter("filter").unwrap_or("#"));
        let actor = call.caller.actor(vhost);
        let topology = call.node().topology();
        let reads_all = topology.reads_all_topics(actor, TOPIC_EXCHANGE);
        let vhosts = call.node().retained.lock();
        let store = vhosts.get(vhost);
        let total = reads_all.then(|| store.map_or(0, |store| store.len()));
        let now_ms = clock::now_ms();
        let matching = store.map(|store| store.matching_after(Pattern::mqtt(&key), after, now_ms));
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (looked_at, (_, message)) in matching.into_iter().flatten().enumerate() {
            if is_enough(found.len(), bytes) || looked_at == LOOKED_AT_MAX {
                return Readable { found, is_whole: false, total };
            }
            let key = message.routing_key();
            if reads_all || topology.check_read_topic(actor, TOPIC_EXCHANGE, key).is_ok() {
                bytes += message.body().len();
                found.push(message.clone());
            }
        }
        Readable { found, is_whole: true, total }
    }
}

/// How much of a body is shown: nothing, if the call does not want it.
fn payload(call: &Call, bytes_max: usize) -> Option<usize> {
    (!call.flag("disable_payload")).then_some(bytes_max)
}

/// `GET /mqtt/retained/:topic`.
pub fn show(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    let key = topic_to_key(call.part("topic"));
    let actor = call.caller.actor(&vhost);
    call.node().topology().check_read_topic(actor, TOPIC_EXCHANGE, &key)?;
    let message = find(call, &vhost, &key).ok_or_else(Refusal::no_such_object)?;
    list::answer_one(call, describe(&message, Some(usize::MAX)))
}

/// `DELETE /mqtt/retained/:topic`: as a retained publish without a body does.
pub fn delete(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    let key = topic_to_key(call.part("topic"));
    let actor = call.caller.actor(&vhost);
    call.node().topology().check_publish_by(actor, TOPIC_EXCHANGE, &[&*key])?;
    find(call, &vhost, &key).ok_or_else(Refusal::no_such_object)?;
    let nothing = Arc::new(Message::new(Draft {
        exchange: TOPIC_EXCHANGE,
        routing_key: &key,
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(&[]),
        facts: Facts::default(),
    }));
    let removed = call.node().retain(&vhost, &nothing);
    let promise = removed.map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(Reply::no_content().after(promise))
}

fn find(call: &Call, vhost: &str, key: &str) -> Option<Arc<Message>> {
    let vhosts = call.node().retained.lock();
    vhosts.get(vhost)?.get(key, clock::now_ms()).cloned()
}

fn describe(message: &Message, payload: Option<usize>) -> Value {
    let facts = message.facts();
    let mut json = message_to_json(message, false, payload.unwrap_or(0));
    if let Some(object) = json.as_object_mut() {
        object.remove("exchange");
        object.remove("routing_key");
        if payload.is_none() {
            object.remove("payload");
            object.remove("payload_encoding");
        }
    }
    json["topic"] = json!(key_to_topic(message.routing_key()));
    json["qos"] = json!(facts.qos);
    json["published_at"] = json!(facts.timestamp_ms);
    json["expires_at"] = json!(facts.expires_at_ms);
    json
}

/// Messages in one answer, if the request does not say.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// The bodies in one answer, in bytes: one more than fits.
const BODIES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is shown of each body in a page, in bytes.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Topics that are looked at for one answer, whether they may be read or not.
const LOOKED_AT_MAX: usize = 100_000;
