//! `leveret storage dump`: the messages of a queue, one JSON object a line.

use std::io::Write;

use leveret_core::StoredEntry;
use leveret_core::record::Record;
use serde_json::json;
use tokio::runtime::Handle;

use super::progress::{Unit, bar};
use super::{OfflineError, open, replayed};
use crate::Config;
use crate::management::message_to_json;
use crate::server::Node;

/// Writes the messages of a queue as a start would have them, the oldest first.
///
/// # Errors
/// If the directory is in use or cannot be read, or if there is no such queue.
pub fn dump(
    config: Config,
    runtime: &Handle,
    (vhost, queue): (&str, &str),
    out: &mut dyn Write,
) -> Result<(), OfflineError> {
    let node = replayed(config.clone(), open(&config)?, runtime)?;
    let found = node.topology().queue(vhost, queue).map(|queue| queue.id);
    let no_queue = |_| OfflineError::NoQueue { vhost: vhost.to_owned(), queue: queue.to_owned() };
    let id = found.map_err(no_queue)?;
    let progress = bar("writing messages", Unit::Messages);
    let mut written = Ok(());
    let lost = node.shard_of(id).post(|work| {
        let queue = work.state.queue(id)?;
        progress.set_length(queue.stats().ready as u64);
        Some(queue.stored(&mut |at| node.read_record(at), &mut |entry| {
            if written.is_ok() {
                written = writeln!(out, "{}", to_json(&node, entry));
                progress.inc(1);
            }
        }))
    });
    progress.finish_and_clear();
    written?;
    if let Some(lost @ 1..) = lost {
        writeln!(
            out,
            "{}",
            json!({ "error": format!("{lost} messages of damaged pages are lost") })
        )?;
    }
    Ok(())
}

fn to_json(node: &Node, entry: StoredEntry) -> serde_json::Value {
    let message = node.read_record(entry.at).and_then(Record::into_message);
    let mut shown = match message.and_then(|message| message.into_message().ok()) {
        Some(message) => message_to_json(&message, false, usize::MAX),
        None => json!({ "error": "the message cannot be read" }),
    };
    shown["index"] = entry.index.0.into();
    shown["position"] = entry.at.0.into();
    shown["deliveries"] = entry.deliveries.into();
    shown["redelivered"] = (entry.deliveries > 0).into();
    shown
}
