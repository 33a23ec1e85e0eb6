//! The in-process client: the same commands as a frontend, without a socket.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use leveret_core::{
    Binding, Body, ConnectionId, ConsumerId, ConsumerOptions, Delivery, Destination, Draft,
    Encoding, Facts, Message, Position, QueueId, QueueSpec, Settlement, SubscriptionOptions,
    Syntax, TopologyCommand, TopologyError, topic_to_key,
};

use crate::server::counts::{Dialect, Fate};
use crate::server::limits::Limit;
use crate::server::outbox::{CloseReason, Mail, Notice, Outbox};
use crate::server::publisher::Publisher;
use crate::server::{DEFAULT_VHOST, Node, clock};

/// A client of a [`Broker`](crate::Broker) in the same program. It works in the vhost `/`.
#[derive(Clone)]
pub struct Client {
    node: Arc<Node>,
    vhost: Arc<str>,
}

/// What a client asked for was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The exchange, queue or binding is not there, or cannot be as asked.
    #[error(transparent)]
    Refused(#[from] TopologyError),
    /// Another consumer has the queue to itself.
    #[error("the queue is in exclusive use")]
    ExclusiveUse,
    /// The broker stopped, or its disk failed, before the message was safe.
    #[error("the broker stopped before the message was safe")]
    Stopped,
    /// The message is larger than the broker accepts.
    #[error("a message of {size} bytes is larger than the limit of {max}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit: `message_size_max`.
        max: u64,
    },
    /// The name of an exchange or a routing key is longer than names can be.
    #[error("a name of {size} bytes is longer than {} bytes", u16::MAX)]
    NameTooLong {
        /// Its size.
        size: usize,
    },
}

/// Messages of one queue or one subscription. Dropped, it gives back what was not acknowledged.
pub struct Consumer {
    node: Arc<Node>,
    queue: QueueId,
    id: ConsumerId,
    outbox: Arc<Outbox>,
    mail: Mail,
    waiting: std::collections::VecDeque<Delivery>,
    /// The queue is the consumer's own and goes with it.
    owns_queue: bool,
    /// The queue is gone.
    is_over: bool,
}

/// A message that was received.
pub struct Received {
    node: Arc<Node>,
    delivery: Delivery,
}

/// Deliveries that may wait for their acknowledgement at a time.
const PREFETCH: u32 = 1000;

impl Client {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Client { node, vhost: DEFAULT_VHOST.into() }
    }

    /// Publishes a persistent message and waits until it is safe: routed, and on the disk if it went
    /// to a durable queue. Says whether any queue got it and none had to refuse it. While disk space or memory is short it waits
    /// before that.
    ///
    /// # Errors
    /// If there is no such exchange, the message is too large, or the broker stops meanwhile.
    pub async fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        body: impl Into<Bytes>,
    ) -> Result<bool, ClientError> {
        let body = body.into();
        let max = self.node.config.message_size_max.0;
        if body.len() as u64 > max {
            self.node.refusals.note(Limit::MessageSize);
            return Err(ClientError::TooLarge { size: body.len(), max });
        }
        let size = exchange.len().max(routing_key.len());
        if size > usize::from(u16::MAX) {
            return Err(ClientError::NameTooLong { size });
        }
        let timestamp_ms = clock::now_ms();
        let message = Arc::new(Message::new(Draft {
            exchange,
            routing_key,
            encoding: Encoding::None,
            properties: &[],
            body: Body::Owned(body),
            facts: Facts { persistent: true, qos: 1, timestamp_ms, ..Facts::default() },
        }));
        tokio::select! {
            biased;
            () = self.node.alarms.cleared() => {}
            () = self.node.stopped() => return Err(ClientError::Stopped),
        }
        let (routed, position) = self.hand_over(&message)?;
        self.wait(position).await?;
        Ok(routed)
    }

    /// Publishes to an MQTT topic, as [`Client::publish`] does to an exchange.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn publish_topic(
        &self,
        topic: &str,
        body: impl Into<Bytes>,
    ) -> Result<bool, ClientError> {
        self.publish(TOPIC_EXCHANGE, &topic_to_key(topic), body).await
    }

    /// Declares a queue.
    ///
    /// # Errors
    /// If there is another one of this name that is not equivalent.
    pub async fn declare_queue(&self, name: &str, durable: bool) -> Result<(), ClientError> {
        let spec = QueueSpec { durable, ..QueueSpec::default() };
        let (_, commanded) = self.node.declare_queue(&self.vhost, name, spec, false)?;
        self.wait(commanded.promise).await
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// If one of them is not there.
    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) -> Result<(), ClientError> {
        let queue = self.node.topology().queue(&self.vhost, queue)?.id;
        let binding = Binding::to_queue(exchange, queue, key);
        let vhost = self.vhost.clone();
        let command = TopologyCommand::Bind { vhost, binding, subscription: None };
        let commanded = self.node.command(command)?;
        self.wait(commanded.promise).await
    }

    /// Consumes from a queue.
    ///
    /// # Errors
    /// If it is not there, or somebody has it alone.
    pub fn consume(&self, queue: &str) -> Result<Consumer, ClientError> {
        let queue = self.node.topology().queue(&self.vhost, queue)?.id;
        self.start(queue, self.node.connections.next_id(), false)
    }

    /// Subscribes to MQTT topics; `+` stands for one level, `#` for all that follow.
    ///
    /// # Errors
    /// If the subscription cannot be made.
    pub fn subscribe(&self, filter: &str) -> Result<Consumer, ClientError> {
        let connection = self.node.connections.next_id();
        let spec = QueueSpec { exclusive: Some(connection), ..QueueSpec::default() };
        let name = self.node.unique_name("amq.gen-");
        let (queue, _) = self.node.declare_queue(&self.vhost, &name, spec, true)?;
        let consumer = self.start(queue, connection, true)?;
        self.node.command(TopologyCommand::Bind {
            vhost: self.vhost.clone(),
            binding: Binding {
                source: TOPIC_EXCHANGE.into(),
                destination: Destination::Queue(queue),
                key: topic_to_key(filter).into(),
                arguments: Default::default(),
                syntax: Syntax::Mqtt,
            },
            subscription: Some(SubscriptionOptions { qos: 1, ..Default::default() }),
        })?;
        Ok(consumer)
    }

    fn hand_over(&self, message: &Arc<Message>) -> Result<(bool, Option<Position>), ClientError> {
        let mut publisher = Publisher::new(None);
        let to = (message.exchange(), message.routing_key());
        let way = publisher.route(&self.node, &self.vhost, to, &no_headers)?;
        let routed = publisher.routed(way);
        let (anywhere, copies) = (!routed.is_empty(), routed.copies);
        publisher.add(&self.node, message.clone(), way, (None, None));
        let promise = publisher.flush(&self.node);
        self.node.connections.count_for(Dialect::Embedded, |counts| {
            counts.note_publish(message.body().len(), false);
            counts.note_fate(if anywhere { Fate::Routed(copies) } else { Fate::Dropped });
        });
        Ok((anywhere && publisher.refused().is_empty(), promise))
    }

    async fn wait(&self, position: Option<Position>) -> Result<(), ClientError> {
        let Some(position) = position else { return Ok(()) };
        if self.node.wait_durable(position).await { Ok(()) } else { Err(ClientError::Stopped) }
    }

    fn start(
        &self,
        queue: QueueId,
        connection: ConnectionId,
        owns_queue: bool,
    ) -> Result<Consumer, ClientError> {
        let id = ConsumerId { connection, number: 1 };
        let outbox = Arc::<Outbox>::default();
        let shard = self.node.shard_of(queue);
        shard.attach(connection, &outbox);
        let options = ConsumerOptions {
            no_ack: false,
            exclusive: false,
            priority: 0,
            prefetch: PREFETCH,
            shared: None,
            window_bytes: self.node.config.consumer_window.len(),
            shared_window: None,
        };
        let started = shard.post(|work| {
            let Some(queue) = work.state.queue(queue) else { return Ok(()) };
            queue.consume(id, options)?;
            queue.pump(work.now_ms, &mut work.fx);
            Ok::<(), leveret_core::InExclusiveUse>(())
        });
        let consumer = Consumer {
            node: self.node.clone(),
            queue,
            id,
            outbox,
            mail: Mail::default(),
            waiting: Default::default(),
            owns_queue,
            is_over: false,
        };
        started.map(|()| consumer).map_err(|_| ClientError::ExclusiveUse)
    }
}

impl Consumer {
    /// The next message; `None` once the queue is gone or the broker stops.
    ///
    /// # Cancel safety
    /// A message is taken only when it is given out.
    pub async fn next(&mut self) -> Option<Received> {
        loop {
            if let Some(delivery) = self.waiting.pop_front() {
                self.take_in(&delivery);
                return Some(Received { node: self.node.clone(), delivery });
            }
            if self.is_over {
                return None;
            }
            let (outbox, mail) = (&self.outbox, &mut self.mail);
            let arrived = poll_fn(|context| match outbox.take(mail, Some(context)) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            tokio::select! {
                biased;
                () = arrived => {}
                () = self.node.stopped() => return None,
            }
            self.waiting.extend(self.mail.deliveries.drain(..));
            self.is_over |= self.mail.notices.drain(..).any(|notice| {
                let is_of_consumer = matches!(notice, Notice::Cancelled(..) | Notice::Overdue(..));
                is_of_consumer || notice == Notice::Close(CloseReason::Shutdown)
            });
        }
    }

    /// Gives the window bytes of a delivery back to its queue.
    fn take_in(&self, delivery: &Delivery) {
        let (bytes, body_bytes) = (delivery.message.size_bytes(), delivery.message.body().len());
        self.node.connections.count_for(Dialect::Embedded, |counts| {
            counts.note_delivery(body_bytes, delivery.acknowledge, delivery.redelivered);
        });
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
                queue.detach(self.id, &mut work.fx);
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
        shard.forget(self.id.connection);
        if self.owns_queue {
            self.node.delete_queue_by_id(self.queue);
        }
    }
}

impl Received {
    /// The body.
    pub fn body(&self) -> &[u8] {
        self.delivery.message.body()
    }

    /// The exchange that it was published to.
    pub fn exchange(&self) -> &str {
        self.delivery.message.exchange()
    }

    /// The routing key that it was published with.
    pub fn routing_key(&self) -> &str {
        self.delivery.message.routing_key()
    }

    /// The MQTT topic that the routing key stands for.
    pub fn topic(&self) -> String {
        leveret_core::key_to_topic(self.routing_key()).into_owned()
    }

    /// Whether it was handed out before.
    pub fn is_redelivered(&self) -> bool {
        self.delivery.redelivered
    }

    /// Done with it.
    pub fn ack(self) {
        self.settle(Settlement::Ack);
    }

    /// Gives it back, to be delivered again.
    pub fn requeue(self) {
        self.settle(Settlement::Requeue);
    }

    fn settle(self, settlement: Settlement) {
        let Delivery { queue, consumer, index, .. } = self.delivery;
        if settlement == Settlement::Ack {
            self.node.connections.count_for(Dialect::Embedded, |counts| counts.acked += 1);
        }
        self.node.shard_of(queue).post(|work| {
            if let Some(queue) = work.state.queue(queue) {
                queue.settle(consumer, index, settlement, &mut work.fx);
                queue.pump(work.now_ms, &mut work.fx);
            }
        });
    }
}

fn no_headers(_: &str) -> Option<leveret_core::Value> {
    None
}

/// The exchange that MQTT topics belong to.
const TOPIC_EXCHANGE: &str = "amq.topic";
