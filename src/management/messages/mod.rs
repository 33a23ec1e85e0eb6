//! Messages for scripts: the body of a request or an answer is the body of a message, its properties
//! are headers, and there is no JSON around it.
//!
//! ```text
//! POST   …/exchanges/:vhost/:exchange/messages?routing_key=…    publish
//! POST   …/queues/:vhost/:queue/messages                        publish to a queue
//! GET    …/queues/:vhost/:queue/messages?wait=30s&ack=manual    take one
//! GET    …/queues/:vhost/:queue/messages/stream                 take them as they come
//! DELETE …/queues/:vhost/:queue/messages/:token                 acknowledge
//! POST   …/queues/:vhost/:queue/messages/:token/requeue         give back
//! POST   …/queues/:vhost/:queue/move                            take what waits to another queue
//! GET    …/exchanges/:vhost/:exchange/tap                       look at what is published, as it comes
//! GET    …/queues/:vhost/:queue/peek                            look
//! ```

pub mod consumer;
pub mod headers;
pub mod lease;
pub mod moving;
pub mod peek;
pub mod publish;
pub mod stream;
pub mod take;
pub mod tap;

use std::time::Duration;

use leveret_core::Right;

use super::call::Call;
use super::error::Refusal;

/// A time in the query: seconds, with or without an `s` behind them, or milliseconds with `ms`.
///
/// # Errors
/// If it is something else, or longer than it may be.
fn time(call: &Call, name: &str, default: Duration, max: Duration) -> Result<Duration, Refusal> {
    let Some(text) = call.parameter(name) else { return Ok(default) };
    match parse_time(text) {
        Some(time) if time <= max => Ok(time),
        Some(_) => {
            Err(Refusal::bad_request(format!("{name} is at most {} seconds", max.as_secs())))
        }
        None => Err(Refusal::bad_request(format!("{name} is a time such as 30s or 500ms"))),
    }
}

fn parse_time(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return Some(Duration::from_millis(millis.parse().ok()?));
    }
    let seconds = text.strip_suffix('s').unwrap_or(text);
    Some(Duration::from_secs(seconds.parse().ok()?))
}

/// A number in the query.
///
/// # Errors
/// If it is something else.
fn number(call: &Call, name: &str, default: usize) -> Result<usize, Refusal> {
    let Some(text) = call.parameter(name) else { return Ok(default) };
    text.parse().map_err(|_| Refusal::bad_request(format!("{name} must be a whole number")))
}

/// Whether the caller may read from the queue now, however long ago that was looked at.
async fn may_still_read(call: &Call, vhost: &str) -> bool {
    let (caller, queue) = (&call.caller, call.part("queue"));
    let is_allowed = || {
        let topology = call.node().topology();
        topology.check_queue_right(caller.actor(vhost), Right::Read, queue).is_ok()
    };
    caller.may_still(is_allowed).await
}

/// Whether messages wait for their acknowledgement, as `ack=manual` asks for.
///
/// # Errors
/// If `ack` is neither `auto` nor `manual`.
fn is_manual(call: &Call) -> Result<bool, Refusal> {
    match call.parameter("ack") {
        None | Some("auto") => Ok(false),
        Some("manual") => Ok(true),
        Some(_) => Err(Refusal::bad_request("ack must be auto or manual")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_seconds_if_it_does_not_say_milliseconds() {
        assert_eq!(parse_time("30"), Some(Duration::from_secs(30)));
        assert_eq!(parse_time("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_time("250ms"), Some(Duration::from_millis(250)));
        for wrong in ["", "s", "ms", "-1", "1m", "soon"] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }
}
