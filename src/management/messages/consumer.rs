//! A consumer for as long as a request waits.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use leveret_core::{ConsumerId, ConsumerOptions, Delivery, QueueId, Settlement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::management::error::Refusal;
use crate::server::Node;
use crate::server::outbox::{CloseReason, Mail, Notice, Outbox};

/// Requests that may wait for messages at a time: others need connections as well.
const WAITING_MAX: usize = 128;

/// The places for requests that wait.
pub fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(WAITING_MAX))
}

/// A place for a request that waits.
///
/// # Errors
/// If too many do.
pub fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    let place = places.clone().try_acquire_owned();
    place.map_err(|_| Refusal::unavailable("too many requests wait for messages"))
}

/// See the module's documentation. Dropped, it gives back what it did not give out; what it gave out
/// stays with its holder.
pub struct Consumer {
    node: Arc<Node>,
    queue: QueueId,
    id: ConsumerId,
    outbox: Arc<Outbox>,
    mail: Mail,
    /// Last first.
    arrived: Vec<Delivery>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Consumer {
    /// Begins to consume, with up to `prefetch` messages that wait for their acknowledgement.
    ///
    /// # Errors
    /// If too many wait, or somebody has the queue alone.
    pub fn start(
        node: &Arc<Node>,
        queue: QueueId,
        prefetch: u32,
        places: &Arc<Semaphore>,
    ) -> Result<Consumer, Refusal> {
        let place = place(places)?;
        let id = ConsumerId { connection: node.connections.next_id(), number: 1 };
        let consumer = Consumer {
            node: node.clone(),
            queue,
            id,
            outbox: Arc::default(),
            mail: Mail::default(),
            arrived: Vec::new(),
            is_over: false,
            _place: place,
        };
        let options = ConsumerOptions {
            no_ack: false,
            exclusive: false,
            priority: 0,
            prefetch,
            shared: None,
            window_bytes: node.config.consumer_window.len(),
            shared_window: None,
        };
        let shard = node.shard_of(queue);
        shard.attach(id.connection, &consumer.outbox);
        let started = shard.post(|work| {
            let Some(queue) = work.state.queue(queue) else { return Ok(()) };
            queue.consume(id, options)?;
            queue.pump(work.now_ms, &mut work.fx);
            Ok::<(), leveret_core::InExclusiveUse>(())
        });
        started.map_err(|error| Refusal::bad_request(error.to_string()))?;
        Ok(consumer)
    }

    /// The next message; `None` if the queue is gone or the broker stops.
    ///
    /// # Cancel safety
    /// A message is taken only when it is given out.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.arrival().await;
        let delivery = self.arrived.pop()?;
        self.make_room(&delivery);
        Some(delivery)
    }

    /// Waits until there is a next message, or that there will be none is known. Nothing is taken.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn arrival(&mut self) {
        while self.arrived.is_empty() && !self.is_over {
            let (outbox, mail) = (&self.outbox, &mut self.mail);
            let arrived = poll_fn(|context| match outbox.take(mail, Some(context)) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            tokio::select! {
                biased;
                () = arrived => {}
                () = self.node.stopped() => self.is_over = true,
            }
            self.arrived.extend(self.mail.deliveries.drain(..).rev());
            self.is_over |= self.mail.notices.drain(..).any(|notice| {
                let is_of_consumer = matches!(notice, Notice::Cancelled(..) | Notice::Overdue(..));
                is_of_consumer || notice == Notice::Close(CloseReason::Shutdown)
            });
        }
    }

    /// It is on its way to the client, and the next ones may come.
    fn make_room(&self, delivery: &Delivery) {
        let bytes = delivery.message.size_bytes();
        self.node.shard_of(self.queue).post(|work| {
            if let Some(queue) = work.state.queue(self.queue) {
                queue.written(self.id, bytes);
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let shard = self.node.shard_of(self.queue);
        shard.post(|work| {
            if let Some(queue) = work.state.queue(self.queue) {
                queue.cancel(self.id, &mut work.fx);
            }
        });
        // From here on nothing arrives.
        self.outbox.take(&mut self.mail, None);
        let left = self.arrived.drain(..).chain(self.mail.deliveries.drain(..));
        let left: Vec<Delivery> = left.collect();
        left.iter().for_each(|delivery| settle(&self.node, delivery, Settlement::Requeue));
        shard.forget(self.id.connection);
        self.node.pump(self.queue);
    }
}

/// Settles a message in the name of its consumer, which may have gone.
pub fn settle(node: &Node, delivery: &Delivery, settlement: Settlement) {
    let Delivery { queue, consumer, index, .. } = *delivery;
    node.shard_of(queue).post(|work| {
        if let Some(queue) = work.state.queue(queue) {
            queue.settle(consumer, index, settlement, &mut work.fx);
            queue.pump(work.now_ms, &mut work.fx);
        }
    });
}
