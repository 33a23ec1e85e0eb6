//! Sums over many queues, and the numbers of one.

use leveret_core::{QueueId, QueueStats};

use super::call::Call;
use super::rates::{Named, Rated, Thing};
use crate::server::Node;
use crate::server::counts::Counts;

/// The counts of these queues, in the same order; zeros for those that are gone.
pub fn stats_of(node: &Node, queues: &[QueueId]) -> Vec<QueueStats> {
    find_stats(node, queues).into_iter().map(Option::unwrap_or_default).collect()
}

/// The counts of these queues, in the same order; `None` for those that are gone. A shard is asked
/// for many at a time, but never so many that its publishers would notice.
pub fn find_stats(node: &Node, queues: &[QueueId]) -> Vec<Option<QueueStats>> {
    let mut stats = vec![None; queues.len()];
    for shard in 1..=node.shard_count() {
        let here: Vec<usize> = (0..queues.len())
            .filter(|&at| queues[at].shard(node.shard_count()).0 == shard)
            .collect();
        for batch in here.chunks(BATCH) {
            let Some(first) = batch.first() else { continue };
            node.shard_of(queues[*first]).post(|work| {
                for &at in batch {
                    stats[at] = work.state.queue(queues[at]).map(|queue| queue.stats());
                }
            });
        }
    }
    stats
}

/// The counts of all these queues together.
pub fn total_of(node: &Node, queues: &[QueueId]) -> QueueStats {
    let mut total = QueueStats::default();
    stats_of(node, queues).into_iter().for_each(|stats| total += stats);
    total
}

/// What waits in queues, and what has happened there so far, by the names that management gives it.
pub fn of_queue(stats: &QueueStats) -> [Named; 12] {
    [
        ("messages", (stats.ready + stats.unacked) as u64),
        ("messages_ready", stats.ready as u64),
        ("messages_unacknowledged", stats.unacked as u64),
        ("publish", stats.published),
        ("deliver", stats.delivered),
        ("deliver_no_ack", stats.delivered_no_ack),
        ("get", stats.got),
        ("get_no_ack", stats.got_no_ack),
        ("get_empty", stats.got_empty),
        ("deliver_get", stats.handed_out()),
        ("redeliver", stats.redelivered),
        ("ack", stats.acked),
    ]
}

/// These numbers with their rates: what waits, and what has happened. A deleted queue takes its
/// history along; that is no negative rate.
pub fn measure(call: &Call, thing: Thing, stats: &QueueStats) -> (Vec<Rated>, Vec<Rated>) {
    let mut measured = call.measure(thing, &of_queue(stats));
    let history = measured.split_off(LENGTHS);
    (measured, history.into_iter().map(Rated::growing).collect())
}

/// What clients have published and were sent, by the names of `message_stats`.
pub fn of_clients(counts: &Counts) -> [Named; 12] {
    [
        ("publish", counts.published),
        ("confirm", counts.confirmed),
        ("deliver", counts.delivered_manual),
        ("deliver_no_ack", counts.delivered_auto),
        ("get", counts.got_manual),
        ("get_no_ack", counts.got_auto),
        ("get_empty", counts.got_empty),
        ("deliver_get", counts.handed_out()),
        ("redeliver", counts.redelivered),
        ("ack", counts.acked),
        ("return_unroutable", counts.returned),
        ("drop_unroutable", counts.dropped),
    ]
}

/// Queues that are looked at while their shard waits.
const BATCH: usize = 256;
/// How many of the numbers of a queue say what waits; they come first.
const LENGTHS: usize = 3;
