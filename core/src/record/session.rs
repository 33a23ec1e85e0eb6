//! What has to be known of an MQTT session after a restart, beside its queue.

use bytes::Bytes;

use super::bytes::{Reader, put as put_integer, put_slice};
use super::{Malformed, RecordedMessage, message};
use crate::{Message, QueueId};

/// A session as it was last.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// Its queue.
    pub queue: QueueId,
    /// Since when its client is away, in milliseconds since the Unix epoch; `None` while it is connected.
    pub away_since_ms: Option<u64>,
    /// The will that is still to be published.
    pub will: Option<RecordedWill>,
}

/// A will, read back.
#[derive(Debug, Clone)]
pub struct RecordedWill {
    /// How long it waits for the client to come back, in seconds.
    pub delay_s: u32,
    /// How long it lives once it is published, in seconds.
    pub expiry_s: Option<u32>,
    /// In whose name it is published.
    pub user: String,
    /// The client that left it.
    pub client_id: String,
    /// The message.
    pub message: RecordedMessage,
}

/// A will to be written: the fields of a [`RecordedWill`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "those of RecordedWill")]
pub struct WillParts<'a> {
    pub delay_s: u32,
    pub expiry_s: Option<u32>,
    pub user: &'a str,
    pub client_id: &'a str,
    pub message: &'a Message,
}

const AWAY: u8 = 1;
const WILL: u8 = 2;
const WILL_EXPIRES: u8 = 4;

/// Writes a session; the large body of a will is given back and has to follow.
pub(super) fn put<'a>(
    out: &mut Vec<u8>,
    (queue, away_since_ms): (QueueId, Option<u64>),
    will: Option<WillParts<'a>>,
) -> Option<&'a Bytes> {
    let expiry_s = will.and_then(|will| will.expiry_s);
    put_integer(out, queue.0);
    out.push(
        u8::from(away_since_ms.is_some()) * AWAY
            + u8::from(will.is_some()) * WILL
            + u8::from(expiry_s.is_some()) * WILL_EXPIRES,
    );
    away_since_ms.into_iter().for_each(|since_ms| put_integer(out, since_ms));
    let will = will?;
    put_integer(out, will.delay_s.into());
    expiry_s.into_iter().for_each(|expiry_s| put_integer(out, expiry_s.into()));
    put_slice(out, will.user.as_bytes());
    put_slice(out, will.client_id.as_bytes());
    message::put(out, will.message)
}

/// Reads what [`put`] wrote.
pub(super) fn read(r: &mut Reader<'_>, payload: &Bytes) -> Result<SessionRecord, Malformed> {
    let queue = QueueId(r.integer()?);
    let flags = r.byte()?;
    let has = |flag| flags & flag != 0;
    let away_since_ms = has(AWAY).then(|| r.integer()).transpose()?;
    let will = match has(WILL) {
        false => None,
        true => Some(RecordedWill {
            delay_s: r.narrow()?,
            expiry_s: has(WILL_EXPIRES).then(|| r.narrow()).transpose()?,
            user: r.text()?.to_owned(),
            client_id: r.text()?.to_owned(),
            message: message::read(r, payload)?,
        }),
    };
    Ok(SessionRecord { queue, away_since_ms, will })
}
