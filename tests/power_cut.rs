//! A whole broker on a disk that loses power at each of its writes: what was promised is there
//! afterwards, once and in order, and what was settled is not.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leveret::{Broker, Client, ClientError, Config, Log};
use leveret_storage::LogConfig;
use leveret_storage::faulty::{Faults, FaultyDisk};

/// More than anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long a message that must not come is waited for.
const SILENCE: Duration = Duration::from_millis(20);
/// How long a message that has to come is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const QUEUES: [&str; 3] = ["one", "two", "three"];

/// What clients know of a queue.
#[derive(Debug, Default)]
struct Book {
    sent: Vec<u32>,
    confirmed: Vec<u32>,
    acknowledged: Vec<u32>,
    settled: Vec<u32>,
}

impl Book {
    /// A message that was promised and is neither found nor settled.
    fn missing(&self, found: &[u32]) -> Option<u32> {
        let is_missing =
            |number: &&u32| !found.contains(number) && !self.acknowledged.contains(number);
        self.confirmed.iter().find(is_missing).copied()
    }
}

type Books = BTreeMap<&'static str, Book>;

async fn start(disk: &FaultyDisk) -> Broker {
    let mut log = LogConfig::new("/data");
    log.segment_bytes = 8 * 1024;
    let log = Log::open_on(disk.mount(), log).unwrap();
    let config = Config { shards: 2, ..Config::local("not-used") };
    soon(Broker::start_with(config, Arc::new(log))).await.unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it did not happen in time")
}

/// Publishes and acknowledges until the power is off.
async fn work(client: &Client, books: &mut Books) -> Result<(), ClientError> {
    for queue in QUEUES {
        client.declare_queue(queue, true).await?;
        client.bind(queue, "amq.fanout", "").await?;
    }
    for number in 0..8 {
        publish(client, number, books).await?;
    }
    for queue in QUEUES {
        acknowledge(client, queue, 3, books).await?;
    }
    for number in 8..12 {
        publish(client, number, books).await?;
        // What was acknowledged before this publish is on the disk with it.
        books.values_mut().for_each(|book| book.settled.clone_from(&book.acknowledged));
    }
    Ok(())
}

/// Numbers go to one queue, each third one to all of them; some are large.
async fn publish(client: &Client, number: u32, books: &mut Books) -> Result<(), ClientError> {
    let body = format!("{number} {}", "x".repeat(if number % 4 == 1 { 20_000 } else { 10 }));
    let to_all = number % 3 == 2;
    let queue = QUEUES[number as usize % 2];
    let targets = if to_all { &QUEUES[..] } else { &[queue] };
    targets.iter().for_each(|queue| books.entry(queue).or_default().sent.push(number));
    let (exchange, key) = if to_all { ("amq.fanout", "") } else { ("", queue) };
    client.publish(exchange, key, body).await?;
    targets.iter().for_each(|queue| books.entry(queue).or_default().confirmed.push(number));
    Ok(())
}

async fn acknowledge(
    client: &Client,
    queue: &'static str,
    count: usize,
    books: &mut Books,
) -> Result<(), ClientError> {
    let mut consumer = client.consume(queue)?;
    for _ in 0..count {
        let Ok(Some(received)) = tokio::time::timeout(SILENCE, consumer.next()).await else {
            break;
        };
        books.entry(queue).or_default().acknowledged.push(number_of(received.body()));
        received.ack();
    }
    Ok(())
}

fn number_of(body: &[u8]) -> u32 {
    let text = std::str::from_utf8(body).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Everything in a queue; it goes back. What is missing is waited for longer than what may not come.
async fn look_into(client: &Client, queue: &str, book: &Book) -> Vec<u32> {
    let Ok(mut consumer) = client.consume(queue) else { return Vec::new() };
    let mut found = Vec::new();
    loop {
        let patience = if book.missing(&found).is_some() { PATIENCE } else { SILENCE };
        match tokio::time::timeout(patience, consumer.next()).await {
            Ok(Some(received)) => found.push(number_of(received.body())),
            _ => return found,
        }
    }
}

async fn compare(client: &Client, books: &Books) {
    for (queue, book) in books {
        let found = look_into(client, queue, book).await;
        assert!(found.is_sorted_by(|a, b| a < b), "{queue}: {found:?}");
        assert!(found.iter().all(|number| book.sent.contains(number)), "{queue}: {found:?}");
        assert_eq!(book.missing(&found), None, "{queue} of {book:?} has {found:?}");
        let is_back = |number: &&u32| found.contains(number);
        assert_eq!(book.settled.iter().find(is_back), None, "{queue} of {book:?} has {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_at_any_write_breaks_no_promise() {
    for writes in 1.. {
        let disk = FaultyDisk::new(writes);
        let broker = start(&disk).await;
        disk.set_faults(Faults { off_after: Some(writes), ..Faults::default() });
        let mut books = Books::new();
        let done = soon(work(&broker.client(), &mut books)).await;
        disk.power_cut();
        drop(broker);
        // The second start has to find the same, whatever the first has cut off.
        for _ in 0..2 {
            let broker = start(&disk).await;
            compare(&broker.client(), &books).await;
            disk.power_cut();
        }
        if done.is_ok() {
            assert!(writes > 20, "{writes} writes are few");
            return;
        }
    }
}
