//! Publishes the body of a request.

use std::sync::Arc;

use serde_json::json;

use super::headers::to_properties;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::publish::{Content, send_content};
use crate::management::queues::{find, no_such_vhost};
use crate::management::reply::Reply;

/// `POST /exchanges/:vhost/:exchange/messages?routing_key=…`.
pub fn to_exchange(call: &Call) -> Answer {
    let vhost = call.vhost().map_err(no_such_vhost)?;
    let exchange = call.exchange_part("exchange");
    if call.node().topology().exchange(&vhost, exchange).is_err() {
        return Err(Refusal::not_found("exchange_not_found"));
    }
    publish(call, &vhost, (exchange, call.parameter("routing_key").unwrap_or_default()))
}

/// `POST /queues/:vhost/:queue/messages`, through the default exchange.
pub fn to_queue(call: &Call) -> Answer {
    let (vhost, _) = find(call)?;
    publish(call, &vhost, ("", call.part("queue")))
}

fn publish(call: &Call, vhost: &Arc<str>, (exchange, routing_key): (&str, &str)) -> Answer {
    let actor = call.caller.actor(vhost);
    call.node().topology().check_publish_by(actor, exchange, &[routing_key])?;
    let properties = to_properties(&call.headers)?;
    let body = call.body().clone();
    let sent = send_content(call, vhost, Content { exchange, routing_key, properties, body })?;
    // With the end of a line, for terminals.
    let answer = format!("{}\n", json!({ "routed": sent.is_routed }));
    Ok(Reply::text(answer.into_bytes()).after(sent.promise))
}
