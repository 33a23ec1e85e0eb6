//! `leveret storage check`: everything that is damaged, and what it costs.

use std::io::Write;

use leveret_core::{Position, QueueId};
use leveret_storage::Damage;
use tokio::runtime::Handle;

use super::progress::{Unit, bar};
use super::{OfflineError, open, replayed};
use crate::Config;
use crate::server::Node;

/// Reads a data directory and reports; says whether everything is as it was written.
///
/// # Errors
/// If the directory is in use, cannot be read at all, or was written by a newer version.
pub fn check(config: Config, runtime: &Handle, out: &mut dyn Write) -> Result<bool, OfflineError> {
    let log = open(&config)?;
    let progress = bar("reading segments", Unit::Bytes);
    let mut damage = Vec::new();
    let checked = log.check(
        &mut |done, total| {
            progress.set_length(total);
            progress.set_position(done);
        },
        &mut |one| damage.push(one),
    )?;
    progress.finish_and_clear();
    for Damage { file, from, to, what } in &damage {
        writeln!(out, "{}: positions {} to {}: {what}", file.display(), from.0, to.0)?;
    }
    let node = replayed(config, log, runtime)?;
    let lost = check_queues(&node, out)?;
    writeln!(
        out,
        "{} segments, {} bytes, {} records; {} damaged places, {lost} messages lost; {}",
        checked.segments,
        checked.bytes,
        checked.records,
        checked.damaged,
        if checked.clean { "the last stop was clean" } else { "the last stop was not clean" }
    )?;
    Ok(checked.damaged == 0 && lost == 0)
}

/// Whether the messages of all queues are there. Gives how many are not.
fn check_queues(node: &Node, out: &mut dyn Write) -> Result<u64, OfflineError> {
    let topology = node.topology();
    let vhosts: Vec<_> = topology.vhosts().map(ToString::to_string).collect();
    let mut all_lost = 0;
    for vhost in vhosts {
        for queue in topology.queues(&vhost) {
            let Queue { messages, lost } = check_queue(node, queue.id);
            if lost > 0 {
                writeln!(
                    out,
                    "queue {:?} in vhost {vhost:?}: {lost} of {messages} messages lost",
                    queue.name
                )?;
            }
            all_lost += lost;
        }
    }
    Ok(all_lost)
}

/// What is known of a queue's messages.
struct Queue {
    messages: u64,
    lost: u64,
}

fn check_queue(node: &Node, id: QueueId) -> Queue {
    let mut positions: Vec<Position> = Vec::new();
    let mut found = Queue { messages: 0, lost: 0 };
    let progress = bar("reading messages", Unit::Messages);
    let mut read = |positions: &mut Vec<Position>| {
        positions.sort_unstable();
        let records = node.storage.read_many(positions);
        found.messages += records.len() as u64;
        found.lost += records.iter().filter(|record| record.is_err()).count() as u64;
        progress.inc(positions.len() as u64);
        positions.clear();
    };
    let lost_in_pages = node.shard_of(id).post(|work| {
        let queue = work.state.queue(id)?;
        progress.set_length(queue.stats().ready as u64);
        Some(queue.stored(&mut |at| node.read_record(at), &mut |entry| {
            positions.push(entry.at);
            if positions.len() >= READ_LEN {
                read(&mut positions);
            }
        }))
    });
    read(&mut positions);
    progress.finish_and_clear();
    let lost_in_pages = lost_in_pages.unwrap_or(0);
    Queue { messages: found.messages + lost_in_pages, lost: found.lost + lost_in_pages }
}

/// How many messages are read at once.
const READ_LEN: usize = 1024;
