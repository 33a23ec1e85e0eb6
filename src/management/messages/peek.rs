//! `GET /queues/:vhost/:queue/peek`: what waits, without a trace that somebody looked.

use leveret_core::Right;
use serde_json::Value;

use super::number;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::get::message_to_json;
use crate::management::list;
use crate::management::queues::find;

/// The messages behind the first `offset`, in the form of `get`.
pub fn peek(call: &Call) -> Answer {
    let (vhost, queue) = find(call)?;
    call.check_queue(Right::Read, &vhost, call.part("queue"))?;
    let count = number(call, "count", 1)?.min(MESSAGES_MAX);
    let offset = number(call, "offset", 0)?;
    let truncate = number(call, "truncate", usize::MAX)?;
    let base64 = match call.parameter("encoding") {
        None | Some("auto") => false,
        Some("base64") => true,
        Some(_) => return Err(Refusal::bad_request("encoding must be auto or base64")),
    };
    let seen = call.node().peek(queue, offset, count, MESSAGE_BYTES_MAX);
    let messages = seen.into_iter().map(|seen| {
        let mut json = message_to_json(&seen.message, base64, truncate);
        json["redelivered"] = Value::Bool(seen.redelivered);
        json
    });
    list::answer_whole(call, messages)
}

/// Messages in one answer.
const MESSAGES_MAX: usize = 1_000;
/// Size of the messages in one answer at which no more are added.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
