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
use super::{is_manual, may_still_read, number};
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
    /// Until the client or the queue goes, the user may not read any more, or the broker stops.
    async fn run(mut self, mut consumer: Consumer, sender: mpsc::Sender<Bytes>) {
        loop {
            let arrival = tokio::select! {
                biased;
                () = sender.closed() => return,
                () = self.call.caller.identity().expired() => return,
                arrival = tokio::time::timeout(SILENCE_MAX, consumer.arrival()) => arrival,
            };
            // Looked at before a message is taken: it stays where it is then.
            if !may_still_read(&self.call, &self.vhost).await {
                return;
            }
            let event = match arrival {
                Err(_) => Some(NOTHING),
                Ok(()) => consumer.next().await.and_then(|delivery| self.hold(delivery)),
            };
            // Who does not read gives back what it holds.
            let Some(event) = event else { return };
            if !send(&sender, event, &self.call).await {
                return;
            }
        }
    }

    /// The event for a message; `None` if too many are held.
    fn hold(&mut self, delivery: Delivery) -> Option<Bytes> {
        let node = &self.api.node;
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

/// Sends an event to whoever may still have it; says whether it was taken.
pub async fn send(sender: &mpsc::Sender<Bytes>, event: Bytes, call: &Call) -> bool {
    tokio::select! {
        biased;
        sent = tokio::time::timeout(SEND_MAX, sender.send(event)) => matches!(sent, Ok(Ok(()))),
        () = call.caller.identity().expired() => false,
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

/// A line without a meaning.
pub const NOTHING: Bytes = Bytes::from_static(b":\n\n");
/// What the answer is.
pub const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Messages that may wait for their acknowledgement, if the request does not say.
const PREFETCH: usize = 100;
const PREFETCH_MAX: usize = 1_000;
/// After so long without a message a line without a meaning is sent, so that nobody in between takes
/// the connection for dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a client may read nothing.
const SEND_MAX: Duration = Duration::from_secs(60);
