//! The metrics of queues.

use leveret_core::{QueueId, QueueStats};

use super::family::Family;
use super::output::Gone;
use super::scrape::{Column, Scrape};
use super::text::Metric;
use crate::management::totals;

type OfQueue = Column<QueueStats>;

const COARSE: &[OfQueue] = &[
    OfQueue::gauge("queue_messages_ready", "Messages that wait for a consumer", |stats| {
        stats.ready as u64
    }),
    OfQueue::gauge(
        "queue_messages_unacked",
        "Messages that wait for an acknowledgement",
        |stats| stats.unacked as u64,
    ),
    OfQueue::gauge(
        "queue_messages",
        "Messages that wait for a consumer or for an acknowledgement",
        |stats| (stats.ready + stats.unacked) as u64,
    ),
];

const CONSUMERS: OfQueue =
    OfQueue::gauge("queue_consumers", "Consumers of a queue", |stats| stats.consumers as u64);

const SIZES: &[OfQueue] = &[
    CONSUMERS,
    OfQueue::gauge("queue_messages_bytes", "Size of the messages in a queue", |stats| {
        stats.ready_bytes + stats.unacked_bytes
    }),
    OfQueue::gauge(
        "queue_messages_ready_bytes",
        "Size of the messages that wait for a consumer",
        |stats| stats.ready_bytes,
    ),
    OfQueue::gauge(
        "queue_messages_unacked_bytes",
        "Size of the messages that wait for an acknowledgement",
        |stats| stats.unacked_bytes,
    ),
    OfQueue::gauge("queue_messages_ram_bytes", "Size of the messages in memory", |stats| {
        stats.resident_bytes
    }),
];

const DELIVERIES: &[OfQueue] = &[
    OfQueue::counter(
        "queue_get_ack_total",
        "Messages that were got and have to be acknowledged",
        |stats| stats.got,
    )
    .or(|counts| counts.got_manual),
    OfQueue::counter(
        "queue_get_total",
        "Messages that were got and need not be acknowledged",
        |stats| stats.got_no_ack,
    )
    .or(|counts| counts.got_auto),
    OfQueue::counter(
        "queue_messages_delivered_ack_total",
        "Messages to consumers that have to acknowledge them",
        |stats| stats.delivered,
    )
    .or(|counts| counts.delivered_manual),
    OfQueue::counter(
        "queue_messages_delivered_total",
        "Messages to consumers that need not acknowledge them",
        |stats| stats.delivered_no_ack,
    )
    .or(|counts| counts.delivered_auto),
    OfQueue::counter(
        "queue_messages_redelivered_total",
        "Messages that were handed out again",
        |stats| stats.redelivered,
    )
    .or(|counts| counts.redelivered),
    OfQueue::counter("queue_messages_acked_total", "Messages that were acknowledged", |stats| {
        stats.acked
    })
    .or(|counts| counts.acked),
    OfQueue::counter("queue_get_empty_total", "Gets that found nothing", |stats| stats.got_empty)
        .or(|counts| counts.got_empty),
];

const PUBLISHES: OfQueue =
    OfQueue::counter("queue_messages_published_total", "Messages that came to a queue", |stats| {
        stats.published
    })
    .or(|counts| counts.routed);

const QUEUES: Metric = Metric::gauge("queues", "Queues");

const ALL_CONSUMERS: OfQueue =
    OfQueue::gauge("consumers", "Consumers of queues", |stats| stats.consumers as u64);

const INFO: Metric = Metric::gauge("queue_info", "What kind of queue it is");

/// Numbers of a queue that are held at a time.
const COLUMNS: usize = 4;
/// Queues that are looked at at once.
const BATCH: usize = 256;

impl Scrape {
    /// Writes what is asked for of the queues.
    ///
    /// # Errors
    /// If nobody wants it any more.
    pub async fn write_queues(&mut self) -> Result<(), Gone> {
        let tables: [(Family, &[OfQueue]); 5] = [
            (Family::QueueCoarse, COARSE),
            (Family::Queue, SIZES),
            (Family::QueueConsumerCount, &[CONSUMERS]),
            (Family::QueueDelivery, DELIVERIES),
            (Family::QueuePublish, &[PUBLISHES]),
        ];
        let has_sizes = self.has(Family::Queue);
        let wanted = tables.into_iter().filter(|(family, _)| {
            self.has(*family) && !(has_sizes && *family == Family::QueueConsumerCount)
        });
        let wanted: Vec<&[OfQueue]> = wanted.map(|(_, columns)| columns).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let queues = self.queues();
        if self.scope.has_totals() {
            self.one(&QUEUES, queues.len());
            self.write_sums(&queues, &[&ALL_CONSUMERS]).await?;
        }
        if self.scope.is_per_object() {
            let mut numbers = Vec::with_capacity(queues.len());
            for columns in wanted.iter().flat_map(|columns| columns.chunks(COLUMNS)) {
                numbers.clear();
                self.write_each(&queues, columns, &mut numbers).await?;
            }
            return self.write_kinds(&queues).await;
        }
        let columns: Vec<&OfQueue> = wanted.into_iter().flatten().collect();
        self.write_sums(&queues, &columns).await
    }

    fn queues(&self) -> Vec<QueueId> {
        let topology = self.node.topology();
        let vhosts = topology.vhosts().filter(|name| self.wants_vhost(name));
        vhosts.flat_map(|name| topology.queue_ids(name)).collect()
    }

    async fn write_sums(&mut self, queues: &[QueueId], columns: &[&OfQueue]) -> Result<(), Gone> {
        let mut sums = vec![0; columns.len()];
        for batch in queues.chunks(BATCH) {
            for stats in totals::stats_of(&self.node, batch) {
                sums.iter_mut().zip(columns).for_each(|(sum, it)| *sum += (it.of)(&stats));
            }
            self.out.pause().await?;
        }
        let counts = self.counts.total();
        for (column, sum) in columns.iter().zip(sums) {
            self.one(&column.metric, column.in_all.map_or(sum, |in_all| in_all(&counts)));
        }
        Ok(())
    }

    async fn write_each(
        &mut self,
        queues: &[QueueId],
        columns: &[OfQueue],
        numbers: &mut Vec<[u64; COLUMNS]>,
    ) -> Result<(), Gone> {
        for batch in queues.chunks(BATCH) {
            numbers.extend(totals::stats_of(&self.node, batch).iter().map(|stats| {
                let mut row = [0; COLUMNS];
                row.iter_mut().zip(columns).for_each(|(it, column)| *it = (column.of)(stats));
                row
            }));
            self.out.pause().await?;
        }
        for (at, column) in columns.iter().enumerate() {
            self.head(&column.metric);
            for (queues, rows) in queues.chunks(BATCH).zip(numbers.chunks(BATCH)) {
                self.write_batch(queues, rows, at);
                self.out.pause().await?;
            }
        }
        Ok(())
    }

    /// Queues that are gone in the meantime are left out.
    fn write_batch(&mut self, queues: &[QueueId], rows: &[[u64; COLUMNS]], at: usize) {
        let topology = self.node.topology();
        for (id, row) in queues.iter().zip(rows) {
            if let Some(queue) = topology.queue_by_id(*id) {
                let labels = [("vhost", &*queue.vhost), ("queue", &*queue.name)];
                self.out.text.sample(&labels, row[at]);
            }
        }
    }

    async fn write_kinds(&mut self, queues: &[QueueId]) -> Result<(), Gone> {
        self.head(&INFO);
        for batch in queues.chunks(BATCH) {
            {
                let topology = self.node.topology();
                for queue in batch.iter().filter_map(|id| topology.queue_by_id(*id)) {
                    let labels = [
                        ("vhost", &*queue.vhost),
                        ("queue", &*queue.name),
                        ("queue_type", queue.spec.queue_type().module()),
                        ("membership", "leader"),
                    ];
                    self.out.text.sample(&labels, 1);
                }
            }
            self.out.pause().await?;
        }
        Ok(())
    }
}
