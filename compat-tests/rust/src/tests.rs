//! The tests: most of them once for each version of MQTT.

use std::collections::BTreeSet;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, PublishProperties, SubscribeProperties};

use crate::broker::Broker;
use crate::peer::{Event, Message, Peer, Setup, Wire};
use crate::v5::V5;
use crate::v311::V311;

/// Makes a test of each function in either version.
macro_rules! in_both_versions {
    ($($test:ident),* $(,)?) => {
        mod v311 {
            $(#[test] fn $test() { super::$test::<super::V311>(); })*
        }
        mod v5 {
            $(#[test] fn $test() { super::$test::<super::V5>(); })*
        }
    };
}

in_both_versions! {
    a_message_of_each_qos_reaches_its_subscriber,
    wildcards_select_topics_until_unsubscribe,
    a_filter_that_is_not_valid_is_refused_alone,
    a_retained_message_reaches_later_subscribers,
    a_client_that_vanishes_leaves_its_will,
    a_client_that_disconnects_leaves_no_will,
    messages_wait_for_a_session,
    what_was_not_acknowledged_comes_again,
    members_of_a_shared_subscription_get_each_message_once,
    a_burst_arrives_in_order,
    a_wrong_password_is_refused,
    a_second_connection_takes_over,
    clients_resume_after_the_broker_was_killed,
}

fn a_message_of_each_qos_reaches_its_subscriber<W: Wire>() {
    let broker = Broker::start();
    let mut subscriber = Peer::<W>::connect(&broker, "subscriber");
    let mut publisher = Peer::<W>::connect(&broker, "publisher");
    for qos in 0..3 {
        let topic = format!("qos/{qos}");
        assert_eq!(subscriber.subscribe(&topic, qos), Some(qos));
        publisher.publish(&topic, qos, "hello");
        let expected = Message { topic, payload: "hello".into(), qos, retain: false };
        assert_eq!(subscriber.receive(), expected);
    }
}

fn wildcards_select_topics_until_unsubscribe<W: Wire>() {
    let broker = Broker::start();
    let mut client = Peer::<W>::connect(&broker, "client");
    client.subscribe("a/+/temp", 1);
    client.subscribe("last/#", 1);
    client.publish("a/b/temp", 1, "wanted");
    client.publish("a/b/other", 1, "not wanted");
    assert_eq!(client.receive().payload, "wanted");
    client.unsubscribe("a/+/temp");
    client.publish("a/b/temp", 1, "too late");
    client.publish("last", 1, "last");
    assert_eq!(client.receive().payload, "last");
}

fn a_filter_that_is_not_valid_is_refused_alone<W: Wire>() {
    let broker = Broker::start();
    let mut client = Peer::<W>::connect(&broker, "client");
    assert_eq!(client.subscribe("$share//a", 1), None);
    assert_eq!(client.subscribe("a", 1), Some(1));
}

fn a_retained_message_reaches_later_subscribers<W: Wire>() {
    let broker = Broker::start();
    let mut client = Peer::<W>::connect(&broker, "client");
    client.retain("lamp", "on");
    client.subscribe("lamp", 1);
    let kept = client.receive();
    assert_eq!((kept.payload.as_str(), kept.retain), ("on", true));
    client.retain("lamp", "");
    assert!(!client.receive().retain);
    client.subscribe("lamp", 1);
    client.publish("lamp", 1, "live");
    assert_eq!(client.receive().payload, "live");
}

fn a_client_that_vanishes_leaves_its_will<W: Wire>() {
    let broker = Broker::start();
    let mut watcher = Peer::<W>::connect(&broker, "watcher");
    watcher.subscribe("will", 1);
    let setup = Setup { client_id: "victim", will: Some(("will", "gone")), ..Setup::default() };
    drop(Peer::<W>::open(&broker, &setup).unwrap());
    assert_eq!(watcher.receive().payload, "gone");
}

fn a_client_that_disconnects_leaves_no_will<W: Wire>() {
    let broker = Broker::start();
    let mut watcher = Peer::<W>::connect(&broker, "watcher");
    watcher.subscribe("will", 1);
    let setup = Setup { client_id: "orderly", will: Some(("will", "gone")), ..Setup::default() };
    Peer::<W>::open(&broker, &setup).unwrap().disconnect();
    watcher.publish("will", 1, "nothing before");
    assert_eq!(watcher.receive().payload, "nothing before");
}

fn messages_wait_for_a_session<W: Wire>() {
    let broker = Broker::start();
    let mut subscriber = Peer::<W>::resume(&broker, "subscriber");
    assert!(!subscriber.present);
    subscriber.subscribe("topic", 2);
    subscriber.disconnect();
    let mut publisher = Peer::<W>::connect(&broker, "publisher");
    for number in numbers(30) {
        publisher.publish("topic", 2, &number);
    }
    let mut subscriber = Peer::<W>::resume(&broker, "subscriber");
    assert!(subscriber.present);
    assert_eq!(subscriber.payloads(30), numbers(30));
}

fn what_was_not_acknowledged_comes_again<W: Wire>() {
    let broker = Broker::start();
    let mut subscriber = Peer::<W>::resume(&broker, "subscriber");
    subscriber.subscribe("topic", 1);
    let mut publisher = Peer::<W>::connect(&broker, "publisher");
    for number in numbers(10) {
        publisher.publish("topic", 1, &number);
    }
    drop(subscriber);
    let mut subscriber = Peer::<W>::resume(&broker, "subscriber");
    assert_eq!(subscriber.payloads(10), numbers(10));
}

fn members_of_a_shared_subscription_get_each_message_once<W: Wire>() {
    let broker = Broker::start();
    let mut members = ["one", "other"].map(|client_id| Peer::<W>::connect(&broker, client_id));
    for member in &mut members {
        member.subscribe("$share/group/jobs", 1);
    }
    let mut publisher = Peer::<W>::connect(&broker, "publisher");
    for number in numbers(20) {
        publisher.publish("jobs", 1, &number);
    }
    let mut found: Vec<usize> = Vec::new();
    for member in &mut members {
        member.subscribe("end", 1);
        publisher.publish("end", 1, "end");
        let own = std::iter::from_fn(|| Some(member.receive().payload).filter(|it| it != "end"));
        found.extend(own.map(|number| number.parse::<usize>().unwrap()));
    }
    found.sort_unstable();
    assert_eq!(found, (0..20).collect::<Vec<_>>());
}

fn a_burst_arrives_in_order<W: Wire>() {
    let broker = Broker::start();
    let mut subscriber = Peer::<W>::connect(&broker, "subscriber");
    subscriber.subscribe("topic", 2);
    let mut publisher = Peer::<W>::connect(&broker, "publisher");
    for number in numbers(500) {
        publisher.wire.publish("topic", 2, false, &number);
    }
    publisher.acknowledged(500);
    assert_eq!(subscriber.payloads(500), numbers(500));
}

fn a_wrong_password_is_refused<W: Wire>() {
    let broker = Broker::start();
    let setup = Setup { client_id: "guest", login: Some(("guest", "wrong")), ..Setup::default() };
    let refused = Peer::<W>::open(&broker, &setup).map(|_| ()).unwrap_err();
    assert!(refused.contains("BadUserNamePassword"), "{refused}");
}

fn a_second_connection_takes_over<W: Wire>() {
    let broker = Broker::start();
    let mut first = Peer::<W>::connect(&broker, "same");
    let mut second = Peer::<W>::connect(&broker, "same");
    while first.wire.next().is_ok() {}
    second.subscribe("topic", 1);
    second.publish("topic", 1, "mine");
    assert_eq!(second.receive().payload, "mine");
}

fn clients_resume_after_the_broker_was_killed<W: Wire>() {
    let mut broker = Broker::start();
    let mut subscriber = Peer::<W>::resume(&broker, "subscriber");
    subscriber.subscribe("topic", 1);
    let mut publisher = Peer::<W>::resume(&broker, "publisher");
    for number in numbers(100) {
        publisher.wire.publish("topic", 1, false, &number);
    }
    publisher.acknowledged(1);
    broker.kill_and_restart();
    for client in [&mut publisher, &mut subscriber] {
        client.reconnect();
        assert!(client.present, "the session is lost");
    }
    publisher.acknowledged(99);
    let mut received = BTreeSet::new();
    while received.len() < 100 {
        received.insert(subscriber.receive().payload);
    }
    assert_eq!(received, numbers(100).into_iter().collect());
}

#[test]
fn properties_of_version_5_reach_the_subscriber() {
    let broker = Broker::start();
    let mut client = Peer::<V5>::connect(&broker, "client");
    let identified = SubscribeProperties { id: Some(7), user_properties: vec![] };
    client.wire.client.subscribe_with_properties("topic", QoS::AtLeastOnce, identified).unwrap();
    let sent = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(u32::MAX),
        response_topic: Some("answers".into()),
        correlation_data: Some("42".into()),
        user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        content_type: Some("text/plain".into()),
        ..PublishProperties::default()
    };
    let qos = QoS::AtLeastOnce;
    client.wire.client.publish_with_properties("topic", qos, false, "x", sent.clone()).unwrap();
    client.receive();
    let mut got = client.wire.last.take().unwrap().properties.unwrap();
    assert!(got.message_expiry_interval >= Some(u32::MAX - 10));
    got.message_expiry_interval = sent.message_expiry_interval;
    assert_eq!(got, PublishProperties { subscription_identifiers: vec![7], ..sent });
}

#[test]
fn a_subscription_without_local_messages_of_version_5() {
    let broker = Broker::start();
    let mut client = Peer::<V5>::connect(&broker, "client");
    let filter = Filter { nolocal: true, ..Filter::new("topic", QoS::AtLeastOnce) };
    client.wire.client.subscribe_many([filter]).unwrap();
    client.wait(|event| matches!(event, Event::Subscribed(_)).then_some(()));
    client.publish("topic", 1, "own");
    Peer::<V5>::connect(&broker, "other").publish("topic", 1, "other");
    assert_eq!(client.receive().payload, "other");
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}
