//! `GET /aliveness-test/:vhost`: whether a message gets through.

use std::sync::Arc;

use leveret_core::{Body, Draft, Encoding, Facts, Got, Message, QueueSpec};
use leveret_core::{QueueId, Right};
use serde_json::json;

use super::call::{Answer, Call};
use super::error::Refusal;
use super::get::HOLDER;
use super::publish::send;
use super::reply::Reply;
use crate::server::clock;

/// Declares a queue, publishes to it and gets what is there. The queue stays for the next test.
pub fn test(call: &Call) -> Answer {
    let vhost = call.vhost()?;
    let spec = QueueSpec::default();
    call.node().topology().check_declare_queue(call.caller.actor(&vhost), QUEUE, &spec)?;
    call.check_exchange(Right::Write, &vhost, "")?;
    call.check_queue(Right::Read, &vhost, QUEUE)?;
    let (queue, _) = call.node().declare_queue(&vhost, QUEUE, spec, false)?;
    let message = Arc::new(Message::new(Draft {
        exchange: "",
        routing_key: QUEUE,
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"test_message"),
        facts: Facts { timestamp_ms: clock::now_ms(), ..Facts::default() },
    }));
    let sent = send(call, &vhost, &message, &|_: &str| None)?;
    match sent.is_routed && takes_one(call, queue) {
        true => Ok(Reply::json(&json!({ "status": "ok" })).after(sent.promise)),
        false => Err(Refusal::internal("the message did not get through")),
    }
}

fn takes_one(call: &Call, queue: QueueId) -> bool {
    let got = call.node().shard_of(queue).post(|work| {
        let queue = work.state.queue(queue)?;
        Some(queue.get(HOLDER, true, work.now_ms, &mut work.fx))
    });
    // What is on its way from the disk is there, too.
    got.is_some_and(|got| !matches!(got, Got::Empty))
}

const QUEUE: &str = "aliveness-test";
