//! A whole broker on a disk that refuses: it stops with the reason or waits, and keeps what it promised.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use leveret::config::ByteSize;
use leveret::{Broker, Client, Config, Log};
use leveret_storage::LogConfig;
use leveret_storage::faulty::{Faults, FaultyDisk};

/// More than anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long something that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(300);
const FLOOR: u64 = 1 << 20;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it did not happen in time")
}

/// A broker with so little memory that most messages wait on the disk.
async fn start(disk: &FaultyDisk) -> Broker {
    let mut log = LogConfig::new("/data");
    log.segment_bytes = 64 * 1024;
    let log = Log::open_on(disk.mount(), log).unwrap();
    let config = Config {
        message_memory: ByteSize::kib(16),
        disk_free_min: ByteSize(FLOOR),
        ..Config::local("not-used")
    };
    soon(Broker::start_with(config, Arc::new(log))).await.unwrap()
}

async fn publish(client: &Client, range: std::ops::Range<u32>) {
    for number in range {
        let body = format!("{number} {}", "x".repeat(100));
        assert!(soon(client.publish("", "q", body)).await.unwrap());
    }
}

/// The numbers of the next messages, which are acknowledged.
async fn take(client: &Client, count: usize) -> Vec<u32> {
    let mut consumer = client.consume("q").unwrap();
    let mut taken = Vec::new();
    while taken.len() < count {
        let received = soon(consumer.next()).await.unwrap();
        let text = std::str::from_utf8(received.body()).unwrap();
        taken.push(text.split(' ').next().unwrap().parse().unwrap());
        received.ack();
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_any_more_stops_the_broker_with_the_reason() {
    let kinds = [
        (Faults { syncs_left: Some(0), ..Faults::default() }, "cannot sync"),
        (Faults { changes_fail: Some(ErrorKind::Other), ..Faults::default() }, "cannot write"),
        (
            Faults { changes_fail: Some(ErrorKind::ReadOnlyFilesystem), ..Faults::default() },
            "read-only",
        ),
        (Faults { capacity: Some(0), ..Faults::default() }, "no storage space"),
    ];
    for (faults, reason) in kinds {
        let disk = FaultyDisk::new(1);
        let broker = start(&disk).await;
        let client = broker.client();
        soon(client.declare_queue("q", true)).await.unwrap();
        publish(&client, 0..500).await;
        disk.set_faults(Faults { free_bytes: Some(u64::MAX), ..faults });
        let publisher = tokio::spawn(async move {
            while client.publish("", "q", "refused".repeat(1000)).await.is_ok() {}
        });
        let error = soon(broker.run(std::future::pending())).await.unwrap_err().to_string();
        assert!(error.contains("the journal has failed: cannot"), "{error}");
        assert!(error.contains(reason), "{error}");
        soon(publisher).await.unwrap();
        disk.power_cut();
        let broker = start(&disk).await;
        assert_eq!(take(&broker.client(), 500).await, (0..500).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_read_for_a_while_loses_nothing() {
    let disk = FaultyDisk::new(1);
    let broker = start(&disk).await;
    let client = broker.client();
    soon(client.declare_queue("q", true)).await.unwrap();
    publish(&client, 0..1000).await;
    disk.set_faults(Faults { reads_fail: true, ..Faults::default() });
    let reader = tokio::spawn({
        let client = broker.client();
        async move { take(&client, 1000).await }
    });
    tokio::time::sleep(SILENCE).await;
    assert!(!reader.is_finished(), "most of it is on the disk only");
    publish(&client, 1000..1010).await;
    disk.set_faults(Faults::default());
    assert_eq!(soon(reader).await.unwrap(), (0..1000).collect::<Vec<_>>());
    soon(broker.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_in_this_program_wait_while_the_disk_is_nearly_full() {
    let disk = FaultyDisk::new(1);
    let broker = start(&disk).await;
    let client = broker.client();
    soon(client.declare_queue("q", true)).await.unwrap();
    publish(&client, 0..10).await;
    disk.set_faults(Faults { free_bytes: Some(FLOOR - 1), ..Faults::default() });
    let waits = async {
        while tokio::time::timeout(SILENCE, client.publish("", "q", "10 x")).await.is_ok() {}
    };
    soon(waits).await;
    assert_eq!(take(&client, 10).await, (0..10).collect::<Vec<_>>(), "consumers go on");
    disk.set_faults(Faults { free_bytes: Some(2 * FLOOR), ..Faults::default() });
    assert!(soon(client.publish("", "q", "11 x")).await.unwrap());
    soon(broker.shutdown()).await.unwrap();
}
