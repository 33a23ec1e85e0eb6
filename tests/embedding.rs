//! A broker inside a program, through the public API only.

#[path = "../examples/embedded.rs"]
mod embedded;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leveret::config::Engine;
use leveret::{Broker, Client, ClientError, Config, Consumer, Memory, Received, StartError};
use tempfile::TempDir;

/// More than anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long something that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(200);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it did not happen in time")
}

async fn next(consumer: &mut Consumer) -> Received {
    soon(consumer.next()).await.expect("the queue is there")
}

async fn on_disk(data_dir: &Path) -> Broker {
    soon(Broker::start(Config::local(data_dir))).await.expect("nothing is in its way")
}

async fn in_memory() -> Broker {
    let config = Config { storage_engine: Engine::Memory, ..Config::local("not-used") };
    soon(Broker::start(config)).await.expect("nothing is in its way")
}

async fn publish(client: &Client, queue: &str, bodies: &[&'static str]) {
    for &body in bodies {
        let routed = soon(client.publish("", queue, body)).await;
        assert!(routed.expect("the queue is there"), "{body} went nowhere");
    }
}

async fn stop(broker: Broker) {
    soon(broker.shutdown()).await.expect("the disk works");
}

#[test]
fn the_example_runs_and_ends() {
    embedded::main().unwrap();
}

#[tokio::test]
async fn a_topic_reaches_a_subscription_on_every_engine() {
    let dir = TempDir::new().unwrap();
    for broker in [on_disk(dir.path()).await, in_memory().await] {
        let client = broker.client();
        let mut readings = client.subscribe("sensors/+/temp").unwrap();
        assert!(!soon(client.publish_topic("sensors/7/wind", "no")).await.unwrap());
        assert!(soon(client.publish_topic("sensors/7/temp", "21.5")).await.unwrap());
        let reading = next(&mut readings).await;
        assert_eq!((reading.topic().as_str(), reading.body()), ("sensors/7/temp", &b"21.5"[..]));
        assert_eq!((reading.exchange(), reading.routing_key()), ("amq.topic", "sensors.7.temp"));
        assert!(!reading.is_redelivered());
        reading.ack();
        stop(broker).await;
    }
}

#[tokio::test]
async fn a_storage_engine_of_the_program_is_taken() {
    let config = Config::local("not-used");
    let broker = soon(Broker::start_with(config, Arc::new(Memory::new()))).await.unwrap();
    let client = broker.client();
    soon(client.declare_queue("work", true)).await.unwrap();
    publish(&client, "work", &["a"]).await;
    assert_eq!(next(&mut client.consume("work").unwrap()).await.body(), b"a");
    stop(broker).await;
    assert!(!Path::new("not-used").exists());
}

#[tokio::test]
async fn a_bound_queue_gets_what_its_key_matches() {
    let broker = in_memory().await;
    let client = broker.client();
    soon(client.declare_queue("temps", false)).await.unwrap();
    soon(client.bind("temps", "amq.topic", "sensors.*.temp")).await.unwrap();
    assert!(soon(client.publish_topic("sensors/7/temp", "a")).await.unwrap());
    assert!(soon(client.publish("amq.topic", "sensors.8.temp", "b")).await.unwrap());
    let mut temps = client.consume("temps").unwrap();
    assert_eq!(next(&mut temps).await.body(), b"a");
    assert_eq!(next(&mut temps).await.topic(), "sensors/8/temp");
    stop(broker).await;
}

#[tokio::test]
async fn what_is_requeued_comes_again_and_says_so() {
    let broker = in_memory().await;
    let client = broker.client();
    soon(client.declare_queue("work", false)).await.unwrap();
    publish(&client, "work", &["a", "b"]).await;
    let mut work = client.consume("work").unwrap();
    let (first, second) = (next(&mut work).await, next(&mut work).await);
    assert_eq!((first.body(), second.body()), (&b"a"[..], &b"b"[..]));
    second.ack();
    first.requeue();
    let again = next(&mut work).await;
    assert_eq!((again.body(), again.is_redelivered()), (&b"a"[..], true));
    again.ack();
    assert!(tokio::time::timeout(SILENCE, work.next()).await.is_err(), "it is acknowledged");
    stop(broker).await;
}

#[tokio::test]
async fn a_dropped_consumer_gives_back_what_it_did_not_acknowledge() {
    let broker = in_memory().await;
    let client = broker.client();
    soon(client.declare_queue("work", false)).await.unwrap();
    publish(&client, "work", &["a", "b"]).await;
    let mut first = client.consume("work").unwrap();
    let held = next(&mut first).await;
    drop(first);
    // The consumer is gone: what it held is no longer its own to acknowledge.
    held.ack();
    let mut second = client.consume("work").unwrap();
    assert_eq!(next(&mut second).await.body(), b"a");
    assert_eq!(next(&mut second).await.body(), b"b");
    stop(broker).await;
}

#[tokio::test]
async fn consumers_of_a_queue_share_its_messages() {
    let broker = in_memory().await;
    let client = broker.client();
    soon(client.declare_queue("work", false)).await.unwrap();
    let (mut one, mut other) = (client.consume("work").unwrap(), client.consume("work").unwrap());
    publish(&client, "work", &["a", "b"]).await;
    let bodies = [next(&mut one).await.body().to_vec(), next(&mut other).await.body().to_vec()];
    assert_eq!(bodies, [b"a", b"b"]);
    stop(broker).await;
}

#[tokio::test]
async fn more_than_a_window_reaches_a_consumer_that_keeps_up() {
    let config = Config {
        storage_engine: Engine::Memory,
        consumer_window: leveret::config::ByteSize::kib(64),
        ..Config::local("not-used")
    };
    let broker = soon(Broker::start(config)).await.unwrap();
    let client = broker.client();
    soon(client.declare_queue("work", false)).await.unwrap();
    let mut work = client.consume("work").unwrap();
    // Many windows, and more messages than may wait for their acknowledgement.
    let publisher = tokio::spawn(async move {
        for _ in 0..1200 {
            client.publish("", "work", vec![7; 700]).await.unwrap();
        }
    });
    for _ in 0..1200 {
        next(&mut work).await.ack();
    }
    soon(publisher).await.unwrap();
    stop(broker).await;
}

#[tokio::test]
async fn durable_queues_are_there_after_a_restart_and_the_others_are_not() {
    let dir = TempDir::new().unwrap();
    let broker = on_disk(dir.path()).await;
    let client = broker.client();
    soon(client.declare_queue("kept", true)).await.unwrap();
    soon(client.declare_queue("lost", false)).await.unwrap();
    soon(client.bind("kept", "amq.topic", "kept.#")).await.unwrap();
    publish(&client, "kept", &["a", "b", "c"]).await;
    publish(&client, "lost", &["d"]).await;
    let mut kept = client.consume("kept").unwrap();
    next(&mut kept).await.ack();
    let handed_out = next(&mut kept).await;
    drop((handed_out, kept, client));
    stop(broker).await;

    let broker = on_disk(dir.path()).await;
    let client = broker.client();
    assert!(matches!(client.consume("lost"), Err(ClientError::Refused(_))));
    assert!(soon(client.publish_topic("kept/it", "e")).await.unwrap());
    let mut kept = client.consume("kept").unwrap();
    for (body, redelivered) in [("b", true), ("c", true), ("e", false)] {
        let message = next(&mut kept).await;
        assert_eq!((message.body(), message.is_redelivered()), (body.as_bytes(), redelivered));
        message.ack();
    }
    stop(broker).await;
}

#[tokio::test]
async fn two_brokers_in_one_program_do_not_know_each_other() {
    let (one, other) = (in_memory().await, in_memory().await);
    let addresses =
        |broker: &Broker| -> Vec<_> { broker.addresses().map(|(_, address)| address).collect() };
    assert!(addresses(&one).iter().all(|address| !addresses(&other).contains(address)));
    let mut there = other.client().subscribe("#").unwrap();
    assert!(!soon(one.client().publish_topic("a", "1")).await.unwrap());
    assert!(soon(other.client().publish_topic("a", "2")).await.unwrap());
    assert_eq!(next(&mut there).await.body(), b"2");
    stop(one).await;
    assert!(soon(other.client().publish_topic("a", "3")).await.unwrap());
    assert_eq!(next(&mut there).await.body(), b"3");
    stop(other).await;
}

#[tokio::test]
async fn every_protocol_listens_on_a_free_port_of_the_loopback_address() {
    let broker = in_memory().await;
    let addresses: Vec<_> = broker.addresses().collect();
    let protocols: Vec<_> = addresses.iter().map(|(protocol, _)| *protocol).collect();
    assert_eq!(protocols, ["amqp", "mqtt", "http", "http/web-mqtt"]);
    assert!(addresses.iter().all(|(_, at)| at.ip().is_loopback() && at.port() != 0));
    for address in [
        broker.amqp_address(),
        broker.mqtt_address(),
        broker.http_address(),
        broker.websocket_address(),
    ] {
        soon(tokio::net::TcpStream::connect(address)).await.unwrap();
    }
    stop(broker).await;
}

#[tokio::test]
async fn run_ends_when_it_is_told_to() {
    let broker = in_memory().await;
    let address = broker.amqp_address();
    soon(broker.run(std::future::ready(()))).await.unwrap();
    assert!(soon(tokio::net::TcpStream::connect(address)).await.is_err(), "it listens still");
}

#[tokio::test]
async fn a_port_in_use_is_a_refusal_that_names_it() {
    let broker = in_memory().await;
    let port = broker.amqp_address().port();
    let config =
        Config { storage_engine: Engine::Memory, amqp_port: port, ..Config::local("not-used") };
    let error = soon(Broker::start(config)).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Listen(_)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on 127.0.0.1:{port} for amqp: ")), "{text}");
    stop(broker).await;
}

#[tokio::test]
async fn a_data_directory_in_use_is_a_refusal_that_names_it_and_its_user() {
    let dir = TempDir::new().unwrap();
    let broker = on_disk(dir.path()).await;
    let error = soon(Broker::start(Config::local(dir.path()))).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Storage(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    stop(broker).await;
    stop(on_disk(dir.path()).await).await;
}

#[tokio::test]
async fn a_data_directory_that_is_a_file_is_a_refusal() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = soon(Broker::start(Config::local(file.path()))).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Storage(_)), "{error}");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let config = Config {
        storage_engine: Engine::Memory,
        message_size_max: leveret::config::ByteSize(10),
        ..Config::local("not-used")
    };
    let broker = soon(Broker::start(config)).await.unwrap();
    let client = broker.client();
    soon(client.declare_queue("work", true)).await.unwrap();

    let refused = soon(client.publish("nowhere", "key", "a")).await;
    assert!(matches!(refused, Err(ClientError::Refused(_))), "{refused:?}");
    let refused = soon(client.publish("", "work", "12345678901")).await;
    assert!(matches!(refused, Err(ClientError::TooLarge { size: 11, max: 10 })), "{refused:?}");
    let refused = soon(client.declare_queue("work", false)).await;
    assert!(matches!(refused, Err(ClientError::Refused(_))), "{refused:?}");
    let refused = soon(client.bind("work", "nowhere", "key")).await;
    assert!(matches!(refused, Err(ClientError::Refused(_))), "{refused:?}");
    assert!(matches!(client.consume("nothing"), Err(ClientError::Refused(_))));

    publish(&client, "work", &["1234567890"]).await;
    assert_eq!(next(&mut client.consume("work").unwrap()).await.body(), b"1234567890");
    stop(broker).await;
}

#[tokio::test]
async fn what_a_dropped_consumer_gives_back_goes_to_one_that_waits() {
    let broker = in_memory().await;
    let client = broker.client();
    soon(client.declare_queue("work", false)).await.unwrap();
    let mut first = client.consume("work").unwrap();
    publish(&client, "work", &["a"]).await;
    let held = next(&mut first).await;
    let mut second = client.consume("work").unwrap();
    drop(first);
    let again = next(&mut second).await;
    assert_eq!((again.body(), again.is_redelivered()), (&b"a"[..], true));
    drop(held);
    stop(broker).await;
}

#[tokio::test]
async fn clients_that_outlive_their_broker_are_told() {
    let dir = TempDir::new().unwrap();
    for broker in [on_disk(dir.path()).await, in_memory().await] {
        let client = broker.client();
        soon(client.declare_queue("work", true)).await.unwrap();
        let mut work = client.consume("work").unwrap();
        stop(broker).await;
        assert!(soon(work.next()).await.is_none());
        let refused = soon(client.publish("", "work", "a")).await;
        assert!(matches!(refused, Err(ClientError::Stopped)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_data_directory_is_free_after_a_shutdown_although_a_client_is_still_there() {
    let dir = TempDir::new().unwrap();
    let broker = on_disk(dir.path()).await;
    let client = broker.client();
    stop(broker).await;
    stop(on_disk(dir.path()).await).await;
    drop(client);
}

#[tokio::test]
async fn a_name_has_65535_bytes_at_the_most() {
    let broker = in_memory().await;
    let client = broker.client();
    assert!(!soon(client.publish_topic(&"x".repeat(65_535), "a")).await.unwrap());
    let refused = soon(client.publish_topic(&"x".repeat(65_536), "a")).await;
    assert!(matches!(refused, Err(ClientError::NameTooLong { size: 65_536 })), "{refused:?}");
    stop(broker).await;
}
