//! AMQP 0-9-1, from the side of a client.

pub mod client;
pub mod consumer;
pub mod publisher;
pub mod wire;

use std::sync::Arc;

use crate::consumer::Consumer;
use crate::error::Error;
use crate::load::{Member, Scenario};
use crate::plan::{AmqpLoad, Queue};
use crate::publisher::Outgoing;
use client::{CHANNEL, Client};
use consumer::AmqpConsumer;
use publisher::AmqpPublisher;
use wire::MethodId;

const QUEUE_DECLARE: MethodId = (50, 10);
const QUEUE_DECLARE_OK: MethodId = (50, 11);
const QUEUE_DELETE: MethodId = (50, 40);
const QUEUE_DELETE_OK: MethodId = (50, 41);
const QOS: MethodId = (60, 10);
const QOS_OK: MethodId = (60, 11);
const CONSUME: MethodId = (60, 20);
const CONFIRM_SELECT: MethodId = (85, 10);
const CONFIRM_SELECT_OK: MethodId = (85, 11);

/// Declares a queue.
pub async fn declare(client: &mut Client, name: &str, queue: &Queue) -> Result<(), Error> {
    let declare = |out: &mut Vec<u8>| {
        out.extend([0, 0]);
        wire::short_string(out, name);
        out.push(if queue.durable { 0b10 } else { 0 });
        wire::table(out, &queue.arguments);
    };
    client.call("declare a queue", QUEUE_DECLARE, QUEUE_DECLARE_OK, declare).await
}

/// Deletes a queue, with all that is in it.
pub async fn delete(client: &mut Client, name: &str) -> Result<(), Error> {
    let delete = |out: &mut Vec<u8>| {
        out.extend([0, 0]);
        wire::short_string(out, name);
        out.push(0);
    };
    client.call("delete a queue", QUEUE_DELETE, QUEUE_DELETE_OK, delete).await
}

/// Lets the broker confirm what is published.
pub async fn confirm(client: &mut Client) -> Result<(), Error> {
    client.call("confirm", CONFIRM_SELECT, CONFIRM_SELECT_OK, |out| out.push(0)).await
}

/// Publishes one message and waits for its confirm.
pub async fn publish(client: &mut Client, queue: &str) -> Result<(), Error> {
    let template = publisher::template(client, queue, crate::stamp::LENGTH, false);
    client.socket.send(&template.octets).await?;
    let answer = client.answer(publisher::ACK);
    crate::socket::answered("to publish", answer).await.map(drop)
}

/// A connection that publishes.
pub async fn publisher(
    scenario: &Scenario,
    load: &AmqpLoad,
    which: usize,
) -> Result<Member, Error> {
    let mut client = Client::connect(&scenario.uri).await?;
    if scenario.load.window.is_some() {
        confirm(&mut client).await?;
    }
    let outgoing = |(stream, queue)| {
        let name = scenario.queue_name(queue);
        let size = scenario.load.size;
        Outgoing::new(stream, publisher::template(&client, &name, size, load.persistent))
    };
    let streams = scenario.streams_of(which).map(outgoing).collect();
    let peer = AmqpPublisher(scenario.publisher(which, streams));
    Ok(Member { client: crate::client::Client::Amqp(client), peer: Box::new(peer) })
}

/// A connection that consumes.
pub async fn consumer(scenario: &Scenario, load: &AmqpLoad, which: usize) -> Result<Member, Error> {
    let mut client = Client::connect(&scenario.uri).await?;
    if load.ack_every.is_some() && load.prefetch > 0 {
        let qos = |out: &mut Vec<u8>| {
            out.extend([0; 4]);
            out.extend(load.prefetch.to_be_bytes());
            out.push(0);
        };
        client.call("set a prefetch", QOS, QOS_OK, qos).await?;
    }
    let consumer = AmqpConsumer::new(Consumer::new(Arc::clone(&scenario.tally)), load.ack_every);
    let no_ack = if load.ack_every.is_none() { 0b10 } else { 0 };
    let mut out = Vec::new();
    for queue in scenario.queues_of(which) {
        wire::method(&mut out, CHANNEL, CONSUME, |out| {
            out.extend([0, 0]);
            wire::short_string(out, &scenario.queue_name(queue));
            wire::short_string(out, &queue.to_string());
            // Without an answer, which deliveries of the queue before might overtake.
            out.push(no_ack | 0b1000);
            wire::table(out, &[]);
        });
    }
    client.socket.send(&out).await?;
    Ok(Member { client: crate::client::Client::Amqp(client), peer: Box::new(consumer) })
}
