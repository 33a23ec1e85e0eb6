//! Messages: thrown away, looked at, taken and published.

use std::io::{self, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Session, exchange_part, object};
use crate::args::{Messages, Publish};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::fill;

/// Throws away what is ready in a queue.
pub fn purge(session: &Session<'_>, queue: &str) -> Result<(), Failure> {
    let about = session.thing("queue", queue);
    let path = fill("queues/{vhost}/{name}/contents", &[session.vhost(), queue]);
    session.client.send(Ask::delete(path, &about))?;
    session.output.done(&format!("{about} has no ready messages any more"), "purged")
}

/// Shows the first messages of a queue and leaves them there.
pub fn peek(session: &Session<'_>, wanted: &Messages) -> Result<(), Failure> {
    let about = session.thing("queue", &wanted.queue);
    let path = fill("queues/{vhost}/{name}/peek", &[session.vhost(), &wanted.queue]);
    let truncate = truncate(session, wanted).map_or(String::new(), |it| format!("&truncate={it}"));
    let path = format!("{path}?count={}{truncate}", wanted.count);
    let answer = session.client.send_any(Ask::read(path, &about))?;
    match answer.status {
        200 => show(session, &answer.json()?),
        // It is the queue that is not there, or the way to look at it without a trace.
        404 => take(session, wanted, "ack_requeue_true"),
        _ => Err(session.client.refused(&answer, &about)),
    }
}

/// Takes the first messages out of a queue.
pub fn get(session: &Session<'_>, wanted: &Messages) -> Result<(), Failure> {
    take(session, wanted, "ack_requeue_false")
}

fn take(session: &Session<'_>, wanted: &Messages, mode: &str) -> Result<(), Failure> {
    let about = session.thing("queue", &wanted.queue);
    let mut body = json!({ "count": wanted.count, "ackmode": mode, "encoding": "auto" });
    if let Some(truncate) = truncate(session, wanted) {
        body["truncate"] = json!(truncate);
    }
    let path = fill("queues/{vhost}/{name}/get", &[session.vhost(), &wanted.queue]);
    show(session, &session.client.json(Ask::post(path, &about, body.to_string()))?)
}

fn truncate(session: &Session<'_>, wanted: &Messages) -> Option<u32> {
    wanted.truncate.or(session.output.is_table().then_some(TRUNCATE))
}

fn show(session: &Session<'_>, messages: &Value) -> Result<(), Failure> {
    let mut rows = session.output.rows(&COLUMNS);
    for message in messages.as_array().into_iter().flatten() {
        rows.add(message)?;
    }
    rows.end()
}

/// Publishes a message.
pub fn publish(session: &Session<'_>, message: Publish) -> Result<(), Failure> {
    let Publish { routing_key, payload, exchange, persistent, properties, headers } = message;
    let payload = match payload {
        Some(payload) => payload.into_bytes(),
        None => read_payload()?,
    };
    let (payload, encoding) = match String::from_utf8(payload) {
        Ok(text) => (text, "string"),
        Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
    };
    let mut properties = object(properties);
    if persistent {
        properties.insert("delivery_mode".to_owned(), json!(2));
    }
    if !headers.is_empty() {
        properties.insert("headers".to_owned(), Value::Object(object(headers)));
    }
    let body = json!({
        "properties": properties, "routing_key": routing_key, "payload": payload,
        "payload_encoding": encoding,
    });
    let about = session.thing("exchange", &exchange);
    let parts = [session.vhost(), exchange_part(&exchange)];
    let path = fill("exchanges/{vhost}/{name}/publish", &parts);
    let answer = session.client.json(Ask::post(path, &about, body.to_string()))?;
    match answer["routed"] == true {
        true => session.output.done("the message is published", "routed"),
        false => Err(Failure::new(format!(
            "no queue took the message: {about} has no binding for the key '{routing_key}', or a \
             queue refused it."
        ))),
    }
}

fn read_payload() -> Result<Vec<u8>, Failure> {
    let mut payload = Vec::new();
    let read = io::stdin().lock().take(PAYLOAD_BYTES_MAX + 1).read_to_end(&mut payload);
    read.map_err(|error| Failure::new(format!("cannot read the payload: {error}")))?;
    match payload.len() as u64 > PAYLOAD_BYTES_MAX {
        true => Err(Failure::new("the payload is larger than 16 MiB")),
        false => Ok(payload),
    }
}

const COLUMNS: [&str; 6] =
    ["exchange", "routing_key", "redelivered", "payload_bytes", "payload_encoding", "payload"];
/// What a table shows of a payload, in bytes.
const TRUNCATE: u32 = 200;
/// What the API takes in one request, with what is around it.
const PAYLOAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
