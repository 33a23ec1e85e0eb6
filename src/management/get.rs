//! `POST /queues/:vhost/:queue/get`: looks at messages, or takes them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_core::{ConsumerId, Delivery, EntryIndex, Got, Message, QueueId, Right, Settlement};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::properties;
use super::queues::{NOBODY, find, no_such_vhost};
use super::reply::Reply;
use crate::server::counts::Dialect;
use crate::server::firehose::Tap;
use crate::server::{Node, clock};

/// Gets messages, and settles them as the request says.
pub async fn get(call: Call) -> Answer {
    let (vhost, queue) =
        find(&call).map_err(|refusal| match refusal == Refusal::no_such_object() {
            true if call.vhost().is_ok() => Refusal::not_found("queue_not_found"),
            _ => no_such_vhost(refusal),
        })?;
    let wanted = Wanted::parse(&call.fields()?)?;
    call.check_queue(Right::Read, &vhost, call.part("queue"))?;
    let mut taken = Taken::new(call.api.node.clone(), queue);
    taken.take(&wanted).await?;
    for message in &taken.messages {
        call.tap(&vhost, Tap::Deliver(&message.delivery));
    }
    let messages = taken.messages.iter().map(|message| message.to_json(&wanted)).collect();
    taken.settlement = wanted.settlement();
    taken.count();
    Ok(Reply::json(&messages))
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    count: usize,
    mode: Mode,
    base64: bool,
    truncate: usize,
}

/// What becomes of the messages afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    AckRequeue,
    Ack,
    RejectRequeue,
    Reject,
}

impl Wanted {
    fn parse(fields: &Fields) -> Result<Wanted, Refusal> {
        fields.require(&["count", "ackmode", "encoding"])?;
        let mode = match fields.text("ackmode")? {
            Some("ack_requeue_true") => Mode::AckRequeue,
            Some("ack_requeue_false") => Mode::Ack,
            Some("reject_requeue_true") => Mode::RejectRequeue,
            Some("reject_requeue_false") => Mode::Reject,
            _ => return Err(Refusal::bad_request(ACKMODES)),
        };
        let base64 = match fields.text("encoding")? {
            Some("auto") => false,
            Some("base64") => true,
            _ => return Err(Refusal::bad_request("encoding must be auto or base64")),
        };
        let count = fields.count("count")?.unwrap_or_default().min(MESSAGES_MAX);
        let truncate = fields.count("truncate")?.unwrap_or(usize::MAX);
        Ok(Wanted { count, mode, base64, truncate })
    }

    fn settlement(&self) -> Settlement {
        match self.mode {
            Mode::AckRequeue | Mode::RejectRequeue => Settlement::Requeue,
            Mode::Ack => Settlement::Ack,
            Mode::Reject => Settlement::Discard,
        }
    }
}

/// Messages that are held while the answer is put together. Dropped, they are settled: if the client
/// has gone before it was answered, they go back to their places.
struct Taken {
    node: Arc<Node>,
    queue: QueueId,
    messages: Vec<TakenMessage>,
    settlement: Settlement,
}

struct TakenMessage {
    delivery: Delivery,
    /// How many were left behind it.
    left: usize,
}

impl Taken {
    fn new(node: Arc<Node>, queue: QueueId) -> Self {
        Taken { node, queue, messages: Vec::new(), settlement: Settlement::Requeue }
    }

    /// Takes messages until there are enough of them, or no more. What has to be read from the disk
    /// is waited for.
    async fn take(&mut self, wanted: &Wanted) -> Result<(), Refusal> {
        let mut bytes = 0;
        while self.messages.len() < wanted.count && bytes < MESSAGE_BYTES_MAX {
            let Some((delivery, left)) = take_one(&self.node, self.queue).await? else { break };
            bytes += delivery.message.size_bytes();
            self.messages.push(TakenMessage { delivery, left });
        }
        Ok(())
    }

    /// Counts what the client is about to get.
    fn count(&self) {
        self.node.connections.count_for(Dialect::Http, |counts| {
            for message in &self.messages {
                counts.note_get(true, message.delivery.redelivered);
                counts.acked += u64::from(self.settlement == Settlement::Ack);
            }
            counts.got_empty += u64::from(self.messages.is_empty());
        });
    }
}

/// Takes the next message, and says how many are left; `None` if nothing waits. It has to be settled in
/// the name of its consumer.
///
/// # Errors
/// If it cannot be read from the disk in time.
pub async fn take_one(node: &Node, queue: QueueId) -> Result<Option<(Delivery, usize)>, Refusal> {
    for _ in 0..WAITS_MAX {
        let got = node.shard_of(queue).post(|work| match work.state.queue(queue) {
            Some(queue) => queue.get(HOLDER, false, work.now_ms, &mut work.fx),
            None => Got::Empty,
        });
        match got {
            Got::Message(delivery, left) => return Ok(Some((delivery, left))),
            Got::Empty => return Ok(None),
            Got::Fetching => tokio::time::sleep(WAIT).await,
        }
    }
    Err(Refusal::timeout("the messages could not be read in time"))
}

impl Drop for Taken {
    fn drop(&mut self) {
        let entries: Vec<EntryIndex> = self.messages.iter().map(|it| it.delivery.index).collect();
        self.node.shard_of(self.queue).post(|work| {
            let Some(queue) = work.state.queue(self.queue) else { return };
            for index in entries {
                queue.settle(HOLDER, index, self.settlement, &mut work.fx);
            }
            queue.pump(work.now_ms, &mut work.fx);
        });
    }
}

impl TakenMessage {
    fn to_json(&self, wanted: &Wanted) -> Value {
        let mut json = message_to_json(&self.delivery.message, wanted.base64, wanted.truncate);
        json["redelivered"] = self.delivery.redelivered.into();
        json["message_count"] = self.left.into();
        json
    }
}

/// A message without what its place in a queue tells. The payload is a text if it can be, unless
/// base64 is asked for, and cut off behind `truncate` bytes.
pub fn message_to_json(message: &Message, base64: bool, truncate: usize) -> Value {
    let body = message.body();
    let shown = &body[..body.len().min(truncate)];
    let (payload, encoding) = match text(shown, shown.len() < body.len()) {
        Some(text) if !base64 => (text.to_owned(), "string"),
        _ => (STANDARD.encode(shown), "base64"),
    };
    json!({
        "payload_bytes": body.len(),
        "exchange": message.exchange(),
        "routing_key": message.routing_key(),
        "properties": properties::to_json(message, clock::now_ms()),
        "payload": payload,
        "payload_encoding": encoding,
    })
}

/// The bytes as text, if they are. Where they are cut off, half a letter may be lost.
fn text(bytes: &[u8], is_cut: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// Entries are told apart by their index, so that one holder does for all requests.
pub const HOLDER: ConsumerId = ConsumerId { connection: NOBODY, number: 0 };
/// Messages in one answer.
const MESSAGES_MAX: usize = 10_000;
/// Size of the messages in one answer at which no more are added.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a read from the disk is waited for, in steps.
const WAIT: Duration = Duration::from_millis(5);
const WAITS_MAX: u32 = 1_000;
const ACKMODES: &str = "ackmode must be one of ack_requeue_true, ack_requeue_false, \
    reject_requeue_true, reject_requeue_false";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: Value) -> Result<Wanted, Refusal> {
        Wanted::parse(&Fields::parse(body.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_request_says_how_many_and_what_becomes_of_them() {
        let wanted =
            parse(json!({"count": "3", "ackmode": "reject_requeue_false", "encoding": "base64"}));
        let expected = Wanted { count: 3, mode: Mode::Reject, base64: true, truncate: usize::MAX };
        assert_eq!(wanted, Ok(expected));
        let many = parse(json!({
            "count": 10_001, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 5,
        }));
        let many = many.unwrap();
        assert_eq!((many.count, many.truncate), (MESSAGES_MAX, 5));
        assert_eq!(many.settlement(), Settlement::Requeue);
    }

    #[test]
    fn a_request_that_leaves_something_open_is_refused() {
        for (body, reason) in [
            (json!({}), "[{key_missing,count},{key_missing,ackmode},{key_missing,encoding}]"),
            (json!({"count": 1, "ackmode": "keep", "encoding": "auto"}), ACKMODES),
            (
                json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "hex"}),
                "encoding must be auto or base64",
            ),
            (
                json!({"count": -1, "ackmode": "ack_requeue_true", "encoding": "auto"}),
                "count must be a whole number",
            ),
        ] {
            assert_eq!(parse(body).unwrap_err(), Refusal::bad_request(reason));
        }
    }
}
