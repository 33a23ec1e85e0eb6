//! MQTT 3.1.1 and 5, from the side of a client.

pub mod client;
pub mod publisher;
pub mod subscriber;
pub mod wire;

use std::sync::Arc;

use crate::consumer::Consumer;
use crate::error::Error;
use crate::load::{Member, Scenario};
use crate::plan::MqttLoad;
use crate::publisher::Outgoing;
use client::{Client, Connect};
use publisher::MqttPublisher;
use subscriber::MqttSubscriber;

/// A connection that publishes.
pub async fn publisher(
    scenario: &Scenario,
    load: &MqttLoad,
    which: usize,
) -> Result<Member, Error> {
    let name = scenario.client_name('p', which);
    let connect = Connect { client: &name, version: load.version, persistent: false };
    let client = Client::connect(&scenario.uri, &connect).await?;
    let outgoing = |(stream, topic)| {
        let topic = scenario.topic_name(topic);
        let size = scenario.load.size;
        Outgoing::new(stream, publisher::template(load.version, &topic, size, load.qos))
    };
    let streams = scenario.streams_of(which).map(outgoing).collect();
    let mut publisher = scenario.publisher(which, streams);
    if let Some(window) = publisher.window() {
        window.lower(client.receive_max);
    }
    let peer = MqttPublisher(publisher);
    Ok(Member { client: crate::client::Client::Mqtt(client), peer: Box::new(peer) })
}

/// A connection that subscribes.
pub async fn subscriber(
    scenario: &Scenario,
    load: &MqttLoad,
    which: usize,
) -> Result<Member, Error> {
    let name = scenario.client_name('s', which);
    let connect = Connect { client: &name, version: load.version, persistent: load.persistent };
    let mut client = Client::connect(&scenario.uri, &connect).await?;
    let topics: Vec<_> =
        scenario.queues_of(which).map(|topic| scenario.topic_name(topic)).collect();
    // As many as fit into a packet that every broker takes.
    for topics in topics.chunks(256) {
        client.subscribe(topics, load.qos).await?;
    }
    let ledger = (topics.len() == 1).then_some(which);
    let consumer = Consumer::new(Arc::clone(&scenario.tally));
    let peer = MqttSubscriber::new(consumer, load.version, ledger);
    Ok(Member { client: crate::client::Client::Mqtt(client), peer: Box::new(peer) })
}

/// Ends the session of a subscriber that outlived its connection.
pub async fn forget(scenario: &Scenario, load: &MqttLoad, which: usize) -> Result<(), Error> {
    let name = scenario.client_name('s', which);
    let connect = Connect { client: &name, version: load.version, persistent: false };
    Client::connect(&scenario.uri, &connect).await?.close().await
}
