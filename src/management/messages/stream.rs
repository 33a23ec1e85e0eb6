//! `GET /queues/:vhost/:queue/messages/stream`: messages as they come, as server-sent events.
//!
//! ```text
//! id: the token, to acknowledge it with
//! event: message, or base64 if the body is no text
//! data: the body, line by line
//! ```

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::Frame;
use leveret_core::{Delivery, Right, Settlement};
use tokio::sync::mpsc;

use super::consumer::{Consumer, settle};
use super::{is_manual, number};
use crate::management::call::{Answer, Api, Call};
use crate::management::error::Refusal;
use crate::management::get::message_to_json;
use crate::management::queues::find;
use crate::management::reply::Reply;
use crate::server::firehose::Tap;

/// Streams until the client goes, the queue does, or the broker stops.
pub fn stream(call: Call) -> Answer {
    let (vhost, queue) = find(&call)?;
    call.check_queue(Right::Read, &vhost, call.part("queue"))?;
    let manual = is_manual(&call)?;
    let as_json = match call.parameter("format") {
        None | Some("raw") => false,
        Some("json") => true,
        Some(_) => return Err(Refusal::bad_request("format must be raw or json")),
    };
    let prefetch = number(&call, "prefetch", PREFETCH)?.clamp(1, PREFETCH_MAX) as u32;
    if call.is_head {
        return Ok(Reply::content(EVENT_STREAM, Body::empty()));
    }
    call.check_own_page()?;
    let consumer = Consumer::start(&call.api.node, queue, prefetch, &call.api.waiting)?;
    let (sender, receiver) = mpsc::channel(1);
    let api = call.api.clone();
    let stream = Stream { api, call, vhost, manual, as_json, held: VecDeque::new() };
    tokio::spawn(stream.run(consumer, sender));
    Ok(Reply::content(EVENT_STREAM, Body::new(Events(receiver))))
}

struct Stream {
    api: Arc<Api>,
    call: Call,
    vhost: Arc<str>,
    manual: bool,
    as_json: bool,
    /// The tokens that were given out and may still be held, the oldest first.
    held: VecDeque<String>,
}

impl Stream {
    async fn run(mut self, mut consumer: Consumer, sender: mpsc::Sender<Bytes>) {
        loop {
            let next = tokio::select! {
                biased;
                () = sender.closed() => return,
                next = tokio::time::timeout(SILENCE_MAX, consumer.next()) => next,
            };
            let event = match next {
                Ok(None) => return,
                Err(_) if self.may_go_on() => Bytes::from_static(b":\n\n"),
                Err(_) => return,
                Ok(Some(delivery)) => match self.hold(delivery) {
                    Some(event) => event,
                    None => return,
                },
            };
            // Who does not read gives back what it holds.
            match tokio::time::timeout(SEND_MAX, sender.send(event)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Whether the user is still there, and may still read from the queue.
    fn may_go_on(&self) -> bool {
        let (actor, queue) = (self.call.caller.actor(&self.vhost), self.call.part("queue"));
        self.api.node.topology().check_queue_right(actor, Right::Read, queue).is_ok()
    }

    /// The event for a message; `None` if the user may not have it, or too many are held.
    fn hold(&mut self, delivery: Delivery) -> Option<Bytes> {
        let node = &self.api.node;
        if !self.may_go_on() {
            settle(node, &delivery, Settlement::Requeue);
            return None;
        }
        self.call.tap(&self.vhost, Tap::Deliver(&delivery));
        let mut event = String::new();
        let body = self.describe(&delivery);
        if self.manual {
            let token = match self.api.leases.add(node, &self.call.caller.name, delivery) {
                Ok(token) => token,
                Err(delivery) => {
                    settle(node, &delivery, Settlement::Requeue);
                    return None;
                }
            };
            event = format!("id: {token}\n");
            self.held.push_back(token);
            self.forget_settled();
        } else {
            settle(node, &delivery, Settlement::Ack);
        }
        Some(Bytes::from(event + &body))
    }

    /// What is acknowledged need not be given back at the end.
    fn forget_settled(&mut self) {
        if self.held.len() > 2 * PREFETCH_MAX {
            let leases = &self.api.leases;
            self.held.retain(|token| leases.holds(token));
        }
    }

    fn describe(&self, delivery: &Delivery) -> String {
        if self.as_json {
            let mut json = message_to_json(&delivery.message, false, usize::MAX);
            json["redelivered"] = delivery.redelivered.into();
            return format!("event: message\ndata: {json}\n\n");
        }
        match std::str::from_utf8(delivery.message.body()) {
            // A carriage return would end a line, and be lost.
            Ok(text) if !text.contains('\r') => {
                let lines = text.split('\n').map(|line| format!("data: {line}\n"));
                format!("event: message\n{}\n", lines.collect::<String>())
            }
            _ => format!("event: base64\ndata: {}\n\n", STANDARD.encode(delivery.message.body())),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        for token in self.held.drain(..) {
            self.api.leases.give_back(&self.api.node, &token);
        }
    }
}

/// The events of a stream as the body of an answer.
pub struct Events(pub mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|event| Some(Ok(Frame::data(event?))))
    }
}

/// What the answer is.
pub const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Messages that may wait for their acknowledgement, if the request does not say.
const PREFETCH: usize = 100;
const PREFETCH_MAX: usize = 1_000;
/// After so long without a message a line without a meaning is sent, so that nobody in between takes
/// the connection for dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a client may read nothing.
pub const SEND_MAX: Duration = Duration::from_secs(60);
