//! `POST /queues/:vhost/:queue/move`: takes what waits in a queue to another one, in its order and as it is.
//!
//! A message leaves its queue when its copy is safe, so a crash may double some and loses none. Others
//! may publish to both queues and consume from them meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_core::{Address, Delivery, Position, QueueId, Right, Settlement, TopologyError};
use serde_json::json;

use super::consumer::{self, settle};
use crate::management::call::{Answer, Call, wait_until_durable};
use crate::management::error::Refusal;
use crate::management::get::take_one;
use crate::management::queues::{NOBODY, find};
use crate::management::reply::Reply;
use crate::server::frontend::headers_of;
use crate::server::publisher::Publisher;
use crate::server::routed::Routed;
use crate::server::{Node, clock, random_number};

/// Moves up to `count` messages, of those that wait now, to the queue `destination`.
pub async fn move_messages(call: Call) -> Answer {
    let (vhost, source) = find(&call)?;
    let wanted = Wanted::parse(&call, &vhost, source)?;
    let _place = consumer::place(&call.api.waiting)?;
    let until = clock::now() + TIME_MAX;
    let (mut moved, mut end) = (0, End::Count);
    while moved < wanted.count {
        if let Some(reason) = wanted.stop(&call, until) {
            end = reason;
            break;
        }
        let batch = Batch {
            node: call.api.node.clone(),
            source,
            vhost: vhost.clone(),
            destination: wanted.destination.clone(),
            held: Vec::new(),
        };
        // It goes on to its end, also if the client goes.
        let moving = tokio::spawn(batch.run((wanted.count - moved).min(BATCH_LEN)));
        let batch = moving.await.map_err(|_| Refusal::internal("a batch was not moved"))??;
        moved += batch.moved;
        if batch.end != End::Count {
            end = batch.end;
            break;
        }
    }
    if let (0, End::Refused(reason)) = (moved, &end) {
        return Err(Refusal::bad_request(reason.clone()));
    }
    Ok(Reply::json(&json!({ "moved": moved, "reason": end.reason() })))
}

/// What a request asks for.
struct Wanted {
    destination: Arc<str>,
    count: usize,
}

/// Why no more are moved.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// There were so many.
    Count,
    /// There were no more.
    Empty,
    /// It took too long.
    Time,
    /// Something does not let them through.
    Refused(String),
}

impl Wanted {
    fn parse(call: &Call, vhost: &str, source: QueueId) -> Result<Wanted, Refusal> {
        call.check_queue(Right::Read, vhost, call.part("queue"))?;
        call.check_exchange(Right::Write, vhost, "")?;
        let fields = call.fields()?;
        fields.require(&["destination"])?;
        let destination = fields.text("destination")?.unwrap_or_default();
        if fields.text("vhost")?.is_some_and(|other| other != vhost) {
            return Err(Refusal::bad_request("messages stay in their virtual host"));
        }
        if destination == call.part("queue") {
            return Err(Refusal::bad_request("the messages are in this queue already"));
        }
        {
            let topology = call.node().topology();
            let queue = topology.queue(vhost, destination);
            let missing = |error: TopologyError| Refusal::bad_request(error.to_string());
            queue.map_err(missing)?.check_access(NOBODY)?;
        }
        let waiting = call.node().queue_stats(source).ready;
        let count = fields.count("count")?.unwrap_or(usize::MAX);
        let count = count.min(waiting);
        Ok(Wanted { destination: destination.into(), count })
    }

    fn stop(&self, call: &Call, until: Instant) -> Option<End> {
        if clock::now() >= until {
            return Some(End::Time);
        }
        call.node().alarms.reason().map(|reason| End::Refused(reason.to_string()))
    }
}

impl End {
    fn reason(&self) -> Option<&str> {
        match self {
            End::Count | End::Empty => None,
            End::Time => Some("it took too long; ask again"),
            End::Refused(reason) => Some(reason),
        }
    }
}

/// Messages that are on their way. Dropped, it gives them back.
struct Batch {
    node: Arc<Node>,
    source: QueueId,
    vhost: Arc<str>,
    destination: Arc<str>,
    /// In their order.
    held: Vec<Delivery>,
}

/// How many of a batch have a copy, and what has to be durable before they are settled.
struct Copied {
    count: usize,
    promise: Option<Position>,
    end: End,
}

/// What became of a batch.
struct Done {
    moved: usize,
    end: End,
}

impl Batch {
    async fn run(mut self, count: usize) -> Result<Done, Refusal> {
        let mut bytes = 0;
        while self.held.len() < count && bytes < BATCH_BYTES {
            let Some((delivery, _)) = take_one(&self.node, self.source).await? else { break };
            bytes += delivery.message.size_bytes();
            self.held.push(delivery);
        }
        if self.held.is_empty() {
            return Ok(Done { moved: 0, end: End::Empty });
        }
        let Copied { count, promise, end } = self.copy();
        if let Some(promise) = promise {
            wait_until_durable(&self.node, promise).await?;
        }
        for delivery in self.held.drain(..count) {
            settle(&self.node, &delivery, Settlement::Ack);
        }
        Ok(Done { moved: count, end })
    }

    /// Publishes them, in this order, until one finds no place.
    fn copy(&self) -> Copied {
        let mut publisher = Publisher::new(None);
        let mut copied = Copied { count: 0, promise: None, end: End::Count };
        for delivery in &self.held {
            let Some(routed) = self.route(delivery) else {
                copied.end = End::Refused(GONE.to_owned());
                break;
            };
            publisher.add_routed(&self.node, delivery.message.clone(), routed);
            copied.promise = copied.promise.max(publisher.flush(&self.node));
            if !publisher.refused().is_empty() {
                copied.end = End::Refused(NO_ROOM.to_owned());
                break;
            }
            copied.count += 1;
        }
        copied
    }

    /// As the default exchange has it. The message stays what it is, with its exchange and its key.
    fn route(&self, delivery: &Delivery) -> Option<Arc<Routed>> {
        let (exchange, key, random) = ("", &*self.destination, random_number());
        let address = Address { vhost: &self.vhost, exchange, key, random };
        let headers = headers_of(&delivery.message);
        let routes = self.node.topology().route(address, &*headers, None).ok()?;
        let routed = Routed::group(&routes, self.node.shard_count());
        (!routed.is_empty()).then(|| Arc::new(routed))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for delivery in self.held.drain(..) {
            settle(&self.node, &delivery, Settlement::Requeue);
        }
    }
}

/// Messages that are on their way at a time, and their size.
const BATCH_LEN: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long a request may move messages.
const TIME_MAX: Duration = Duration::from_secs(60);
const GONE: &str = "the destination is gone";
const NO_ROOM: &str = "the destination has no room for more";
