//! `GET /exchanges/:vhost/:exchange/tap?routing_key=a.%23` and `GET /mqtt/tap?filter=a/%23`: copies of
//! what is published, as it comes, as server-sent events. Nothing changes its way for it.
//!
//! ```text
//! event: message
//! data: a message in JSON
//!
//! event: skipped
//! data: {"count": 7}
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use leveret_core::{Message, Right, Syntax, key_to_topic, topic_to_key};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::number;
use super::stream::{EVENT_STREAM, Events, NOTHING, SILENCE_MAX, send};
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::get::message_to_json;
use crate::management::messages::consumer;
use crate::management::mqtt;
use crate::management::reply::Reply;
use crate::server::clock;
use crate::server::frontend::mqtt::TOPIC_EXCHANGE;
use crate::server::onlooker::Onlooker;

/// Of an exchange.
pub fn of_exchange(call: Call) -> Answer {
    let vhost = call.vhost()?;
    let exchange = call.exchange_part("exchange").to_owned();
    let pattern = tapped_key(&call);
    answer(call, Onlooker::new(vhost, exchange, pattern, Syntax::Amqp))
}

/// Of topics.
pub fn of_topics(call: Call) -> Answer {
    let vhost = mqtt::vhost(&call)?;
    let filter = tapped_key(&call);
    answer(call, Onlooker::new(vhost, TOPIC_EXCHANGE.to_owned(), filter, Syntax::Mqtt))
}

/// What is asked for, as a binding key.
pub fn tapped_key(call: &Call) -> String {
    match call.parameter("routing_key").filter(|_| !call.part("exchange").is_empty()) {
        Some(key) => key.to_owned(),
        None => topic_to_key(call.parameter("filter").unwrap_or(EVERYTHING)).into_owned(),
    }
}

/// Where from.
pub fn tapped_exchange(call: &Call) -> &str {
    match call.part("exchange") {
        "" => TOPIC_EXCHANGE,
        _ => call.exchange_part("exchange"),
    }
}

fn answer(call: Call, onlooker: Onlooker) -> Answer {
    let (vhost, exchange) = (onlooker.vhost(), onlooker.exchange());
    if call.node().topology().exchange(vhost, exchange).is_err() {
        return Err(Refusal::no_such_object());
    }
    call.check_exchange(Right::Read, vhost, exchange)?;
    if !call.caller.identity().is_internal() {
        let (actor, key) = (call.caller.actor(vhost), tapped_key(&call));
        call.node().topology().check_read_topic(actor, exchange, &key)?;
    }
    let rate = number(&call, "rate", RATE)?.clamp(1, RATE_MAX);
    let truncate = number(&call, "truncate", PAYLOAD_BYTES)?.min(PAYLOAD_BYTES_MAX);
    if call.is_head {
        return Ok(Reply::content(EVENT_STREAM, Body::empty()));
    }
    let place = consumer::place(&call.api.waiting)?;
    let (sender, receiver) = mpsc::channel(1);
    let onlooker = Arc::new(onlooker);
    call.node().firehose.look_on(&onlooker);
    let budget = Budget { rate: rate as f64, left: rate as f64, at: clock::now() };
    let tap = Tap { call, onlooker, truncate, budget, skipped: Skipped::default(), _place: place };
    tokio::spawn(tap.run(sender));
    Ok(Reply::content(EVENT_STREAM, Body::new(Events(receiver))))
}

struct Tap {
    call: Call,
    onlooker: Arc<Onlooker>,
    /// Bytes of each payload that are shown.
    truncate: usize,
    budget: Budget,
    skipped: Skipped,
    _place: OwnedSemaphorePermit,
}

/// How many messages may be shown now: those of a second at once, if it was quiet before.
struct Budget {
    rate: f64,
    left: f64,
    at: Instant,
}

/// What was left out, and when that was last said.
#[derive(Default)]
struct Skipped {
    count: usize,
    said_at: Option<Instant>,
}

impl Tap {
    /// Until the client goes, may not read any more, or the broker stops.
    async fn run(mut self, sender: mpsc::Sender<Bytes>) {
        // At once, so that the client knows from when on it sees everything.
        let mut events = vec![NOTHING];
        loop {
            for event in events {
                if !send(&sender, event, &self.call).await {
                    return;
                }
            }
            let silence = if self.skipped.count > 0 { SKIPPED_EVERY } else { SILENCE_MAX };
            let next = tokio::select! {
                biased;
                () = sender.closed() => return,
                () = self.call.api.node.stopped() => return,
                () = self.call.caller.identity().expired() => return,
                next = tokio::time::timeout(silence, self.onlooker.arrived()) => next,
            };
            if next.is_ok() {
                tokio::time::sleep(PAUSE).await;
            }
            if !self.may_go_on().await {
                return;
            }
            events = match self.next_events() {
                Some(events) => events,
                None => return,
            };
        }
    }

    /// Whether the caller may still read what was asked for.
    async fn may_go_on(&self) -> bool {
        let (vhost, exchange) = (self.onlooker.vhost(), self.onlooker.exchange());
        let (call, caller) = (&self.call, &self.call.caller);
        let is_allowed = || {
            let (actor, topology) = (caller.actor(vhost), call.node().topology());
            match caller.identity().is_internal() {
                true => topology.check_exchange_right(actor, Right::Read, exchange).is_ok(),
                false => topology.check_read_topic(actor, exchange, &tapped_key(call)).is_ok(),
            }
        };
        caller.may_still(is_allowed).await
    }

    /// What there is to say; `None` if the caller may not read from the exchange any more.
    fn next_events(&mut self) -> Option<Vec<Bytes>> {
        let now = clock::now();
        let (messages, missed) = self.onlooker.take(self.budget.at(now));
        self.budget.left -= messages.len() as f64;
        let readable = self.readable(messages)?;
        let mut events: Vec<Bytes> = readable.iter().map(|message| self.event(message)).collect();
        events.extend(self.skipped.note(missed, now));
        if events.is_empty() {
            events.push(NOTHING);
        }
        Some(events)
    }

    /// Those with topics that the caller may read.
    fn readable(
        &self,
        messages: impl IntoIterator<Item = Arc<Message>>,
    ) -> Option<Vec<Arc<Message>>> {
        let (vhost, exchange) = (self.onlooker.vhost(), self.onlooker.exchange());
        let (caller, topology) = (&self.call.caller, self.call.node().topology());
        let actor = caller.actor(vhost);
        topology.check_exchange_right(actor, Right::Read, exchange).ok()?;
        topology.exchange(vhost, exchange).ok()?;
        let may_read = |message: &Arc<Message>| {
            // What is decided elsewhere was decided of what was asked for.
            let key = message.routing_key();
            !caller.identity().is_internal()
                || topology.check_read_topic(actor, exchange, key).is_ok()
        };
        Some(messages.into_iter().filter(may_read).collect())
    }

    fn event(&self, message: &Message) -> Bytes {
        let mut json = message_to_json(message, false, self.truncate);
        if self.onlooker.exchange() == TOPIC_EXCHANGE {
            json["topic"] = json!(key_to_topic(message.routing_key()));
        }
        event("message", &json)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.call.node().firehose.look_away(&self.onlooker);
    }
}

impl Budget {
    fn at(&mut self, now: Instant) -> usize {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.left = (self.left + gained).min(self.rate);
        self.at = now;
        self.left as usize
    }
}

impl Skipped {
    /// Says it, but not all the time.
    fn note(&mut self, more: usize, now: Instant) -> Option<Bytes> {
        self.count += more;
        let is_due =
            self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= SKIPPED_EVERY);
        if self.count == 0 || !is_due {
            return None;
        }
        self.said_at = Some(now);
        Some(event("skipped", &json!({ "count": std::mem::take(&mut self.count) })))
    }
}

fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

const EVERYTHING: &str = "#";
/// Messages in a second, if the request does not say.
const RATE: usize = 50;
const RATE_MAX: usize = 1_000;
/// Bytes of a payload that are shown, if the request does not say.
const PAYLOAD_BYTES: usize = 64 * 1024;
const PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages that come together are taken together.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it is said that something was left out.
const SKIPPED_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_that_of_a_second_and_comes_back_with_time() {
        let start = clock::now();
        let mut budget = Budget { rate: 50.0, left: 50.0, at: start };
        assert_eq!(budget.at(start), 50);
        budget.left -= 50.0;
        assert_eq!(budget.at(start + Duration::from_millis(100)), 5);
        assert_eq!(budget.at(start + Duration::from_secs(10)), 50, "no more is saved");
    }

    #[test]
    fn what_is_skipped_is_said_once_a_second_and_all_of_it() {
        let start = clock::now();
        let mut skipped = Skipped::default();
        let mut note = |more, ms| skipped.note(more, start + Duration::from_millis(ms));
        assert_eq!(note(0, 0), None);
        assert_eq!(note(3, 10), Some(event("skipped", &json!({"count": 3}))));
        assert_eq!(note(1, 20), None);
        assert_eq!(note(2, 500), None);
        assert_eq!(note(0, 1_010), Some(event("skipped", &json!({"count": 3}))));
    }
}
