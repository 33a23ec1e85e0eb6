//! `GET /queues/:vhost/:queue/messages`: takes one message, and waits for it if need be.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use leveret_core::{Delivery, QueueId, Right, Settlement};

use super::consumer::{Consumer, settle};
use super::headers::{add_properties, header_value};
use super::{is_manual, may_still_read, time};
use crate::management::bindings::percent_encoded;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::get::take_one;
use crate::management::properties;
use crate::management::queues::find;
use crate::management::reply::Reply;
use crate::server::clock;
use crate::server::firehose::Tap;

/// The body of the message, or 204 if none came. HEAD takes nothing and says whether something waits.
pub async fn take(call: Call) -> Answer {
    let (vhost, queue) = find(&call)?;
    call.check_queue(Right::Read, &vhost, call.part("queue"))?;
    let manual = is_manual(&call)?;
    let wait = time(&call, "wait", Duration::ZERO, WAIT_MAX)?;
    let lease = time(&call, "lease", LEASE, LEASE_MAX)?;
    if call.is_head {
        let is_empty = call.node().queue_stats(queue).ready == 0;
        return Ok(if is_empty {
            Reply::no_content()
        } else {
            Reply::content(OCTETS, Body::empty())
        });
    }
    call.check_own_page()?;
    let delivery = match take_one(call.node(), queue).await? {
        Some((delivery, _)) => Some(delivery),
        None if wait.is_zero() => None,
        None => wait_for_one(&call, (&vhost, queue), wait).await?,
    };
    let Some(delivery) = delivery else { return Ok(Reply::no_content()) };
    call.tap(&vhost, Tap::Deliver(&delivery));
    let mut reply = describe(&delivery);
    if !manual {
        settle(call.node(), &delivery, Settlement::Ack);
        return Ok(reply);
    }
    match call.api.leases.add(call.node(), &call.caller.name, delivery) {
        Ok(token) => {
            reply = reply.at(&location(&vhost, call.part("queue"), &token));
            call.api.leases.end_after(&call.api.node, token, lease);
            Ok(reply)
        }
        Err(delivery) => {
            settle(call.node(), &delivery, Settlement::Requeue);
            Err(Refusal::unavailable("too many messages wait for their acknowledgement"))
        }
    }
}

async fn wait_for_one(
    call: &Call,
    (vhost, queue): (&str, QueueId),
    wait: Duration,
) -> Result<Option<Delivery>, Refusal> {
    let mut consumer = Consumer::start(&call.api.node, queue, 1, &call.api.waiting)?;
    if tokio::time::timeout(wait, consumer.arrival()).await.is_err() {
        return Ok(None);
    }
    if !may_still_read(call, vhost).await {
        return Err(Refusal::not_authorised("Access refused."));
    }
    Ok(consumer.next().await)
}

/// Where a message is acknowledged.
fn location(vhost: &str, queue: &str, token: &str) -> String {
    let (vhost, queue) = (percent_encoded(vhost), percent_encoded(queue));
    format!("/api/queues/{vhost}/{queue}/messages/{token}")
}

fn describe(delivery: &Delivery) -> Reply {
    let message = &delivery.message;
    let reply = Reply::content(OCTETS, Body::from(message.body().to_vec()));
    let properties = properties::to_json(message, clock::now_ms());
    let redelivered = if delivery.redelivered { "true" } else { "false" };
    add_properties(reply, &properties)
        .with_header(HeaderName::from_static("x-exchange"), header_value(message.exchange()))
        .with_header(HeaderName::from_static("x-routing-key"), header_value(message.routing_key()))
        .with_header(
            HeaderName::from_static("x-redelivered"),
            HeaderValue::from_static(redelivered),
        )
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// How long a request may wait for a message.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// How long a message is held for its acknowledgement, if the request does not say.
const LEASE: Duration = Duration::from_secs(30);
const LEASE_MAX: Duration = Duration::from_secs(3600);
