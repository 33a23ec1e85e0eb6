//! A broker and its clients: carries out a script, and then looks whether anything is left behind or
//! out of reach.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Instant;

use leveret::Broker;
use leveret_amqp::TableBuilder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::broker;
use super::client::Client;
use super::frames::{method, short, table};
use super::ledger::{Ledger, id_of};
use super::step::{CLIENTS, KEPT, PRIORITIZED, PRIORITY_MAX, QUORUM, Step};
use super::wire::{DEADLINE, Wire};

/// See the module's documentation. It is used for many scripts, one after the other.
pub struct World {
    broker: Broker,
    kept: [String; KEPT],
    supervisor: Wire,
}

/// A queue as management shows it.
#[derive(Debug)]
struct Shown {
    name: String,
    ready: u64,
    unacked: u64,
    consumers: u64,
    is_exclusive: bool,
}

const FRAME_MAX: u32 = 4096;
/// Deliveries that the supervisor has in hand.
const PREFETCH: u8 = 3;

impl World {
    pub async fn start() -> World {
        let broker = broker::start().await;
        // Nobody can guess these names.
        let secret = RandomState::new().hash_one(0);
        let kept = std::array::from_fn(|number| format!("kept.{number}.{secret}"));
        let mut supervisor = Wire::open(broker.amqp_address(), 131_072).await;
        call(&mut supervisor, (20, 10), &[0], &[(20, 11)]).await;
        let mut world = World { broker, kept, supervisor };
        for (number, queue) in world.kept.clone().iter().enumerate() {
            let arguments = table(&kept_arguments(number));
            let fields = [&[0, 0][..], &short(queue), &[2], &arguments].concat();
            world.call((50, 10), &fields, &[(50, 11)]).await;
        }
        world
    }

    /// Carries out a script.
    pub async fn run(&mut self, script: &[Step]) {
        let address = self.broker.amqp_address();
        let mut ledger = Ledger::default();
        let mut clients: [Client; CLIENTS] =
            std::array::from_fn(|_| Client::new(address, FRAME_MAX, self.kept.clone()));
        let mut vandal = None;
        for step in script {
            match step {
                Step::Client { client, channel, action } => {
                    clients[*client].act(&mut ledger, *channel, action).await;
                }
                Step::Vandal(octets) => vandalize(&mut vandal, address, octets).await,
                Step::VandalEnd => vandal = None,
            }
        }
        drop(vandal);
        let [first, second] = &mut clients;
        first.close(&mut ledger).await;
        second.drop_connection(&mut ledger);
        self.check(&ledger).await;
    }

    async fn check(&mut self, ledger: &Ledger) {
        self.wait_until_alone().await;
        for number in 0..KEPT {
            let queue = self.kept[number].clone();
            let expected = ledger.content(number);
            let bodies = match number {
                0 | QUORUM => self.consume(&queue, expected.len()).await,
                _ => self.drain(&queue).await,
            };
            let found: Vec<_> = bodies.iter().map(|body| id_of(body)).collect();
            let expected: Vec<_> = expected.into_iter().map(Some).collect();
            assert_eq!(found, expected, "the content of a queue");
            assert_eq!(self.drain(&queue).await.len(), 0);
        }
        for queue in self.queues().await {
            if !self.kept.contains(&queue.name) {
                self.empty(&queue.name).await;
            }
        }
        for exchange in self.names("exchanges").await {
            if !exchange.is_empty() && !exchange.starts_with("amq.") {
                let fields = [&[0, 0][..], &short(&exchange), &[0]].concat();
                self.call((40, 20), &fields, &[(40, 21)]).await;
            }
        }
    }

    /// Waits until nobody else is there and nothing of them is left.
    async fn wait_until_alone(&self) {
        let until = Instant::now() + DEADLINE;
        loop {
            let (queues, connections) = (self.queues().await, self.names("connections").await);
            let is_left =
                |queue: &Shown| queue.consumers > 0 || queue.unacked > 0 || queue.is_exclusive;
            let left: Vec<_> = queues.iter().filter(|queue| is_left(queue)).collect();
            if left.is_empty() && connections.len() == 1 {
                return;
            }
            assert!(Instant::now() < until, "left behind: {left:?}, {connections:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Empties a queue of which nothing is known, and deletes it. It may expire meanwhile, and get
    /// dead letters of others.
    async fn empty(&mut self, queue: &str) {
        let until = Instant::now() + DEADLINE;
        loop {
            self.drain(queue).await;
            let shown = self.queues().await.into_iter().find(|shown| shown.name == queue);
            if shown.is_none_or(|shown| shown.ready == 0) {
                break;
            }
            assert!(Instant::now() < until, "{queue} has messages that nobody gets");
        }
        let fields = [&[0, 0][..], &short(queue), &[0]].concat();
        self.call((50, 40), &fields, &[(50, 41)]).await;
    }

    /// Takes everything out of a queue; the bodies, in order.
    async fn drain(&mut self, queue: &str) -> Vec<Vec<u8>> {
        let fields = [&[0, 0][..], &short(queue), &[1]].concat();
        let mut bodies = Vec::new();
        loop {
            match self.call((60, 70), &fields, &[(60, 71), (60, 72), (20, 40)]).await {
                (60, 71) => bodies.push(self.content().await),
                (60, 72) => return bodies,
                _ => {
                    // It has expired.
                    self.supervisor.send(&method(1, (20, 41), &[])).await;
                    self.call((20, 10), &[0], &[(20, 11)]).await;
                    return bodies;
                }
            }
        }
    }

    /// Has so many messages delivered, a few at a time; the bodies, in order.
    async fn consume(&mut self, queue: &str, count: usize) -> Vec<Vec<u8>> {
        self.call((60, 10), &[0, 0, 0, 0, 0, PREFETCH, 0], &[(60, 11)]).await;
        let consume = [&[0, 0][..], &short(queue), &short("s"), &[0], &[0; 4]].concat();
        self.call((60, 20), &consume, &[(60, 21)]).await;
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let deliver = self.supervisor.read().await.expect("the queue is not empty");
            assert_eq!(deliver.method().0, (60, 60));
            let tag = &deliver.payload[6..14];
            let ack = method(1, (60, 80), &[tag, &[0]].concat());
            bodies.push(self.content().await);
            self.supervisor.send(&ack).await;
        }
        self.call((60, 30), &[&short("s")[..], &[0]].concat(), &[(60, 31)]).await;
        bodies
    }

    async fn content(&mut self) -> Vec<u8> {
        let header = self.supervisor.read().await.expect("a header follows");
        let size = super::frames::Fields(&header.payload[4..]).u64() as usize;
        let mut body = Vec::new();
        while body.len() < size {
            body.extend(self.supervisor.read().await.expect("a body follows").payload);
        }
        body
    }

    async fn call(&mut self, id: (u16, u16), fields: &[u8], answers: &[(u16, u16)]) -> (u16, u16) {
        call(&mut self.supervisor, id, fields, answers).await
    }

    async fn queues(&self) -> Vec<Shown> {
        let list = self.list("queues").await;
        let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
        let shown = |queue: &Value| Shown {
            name: text(&queue["name"]),
            ready: number(&queue["messages_ready"]),
            unacked: number(&queue["messages_unacknowledged"]),
            consumers: number(&queue["consumers"]),
            is_exclusive: queue["exclusive"].as_bool().unwrap_or(true),
        };
        list.iter().map(shown).collect()
    }

    async fn names(&self, what: &str) -> Vec<String> {
        self.list(what).await.iter().map(|thing| text(&thing["name"])).collect()
    }

    /// A list of the management API.
    async fn list(&self, what: &str) -> Vec<Value> {
        let mut socket = TcpStream::connect(self.broker.http_address()).await.expect("it listens");
        let request = format!(
            "GET /api/{what} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\
             Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("it answers");
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let list = serde_json::from_slice(&answer[body.expect("a head ends")..]);
        list.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer)))
    }
}

fn kept_arguments(number: usize) -> TableBuilder {
    let mut arguments = TableBuilder::new();
    match number {
        PRIORITIZED => _ = arguments.insert("x-max-priority", i32::from(PRIORITY_MAX)),
        QUORUM => {
            arguments.insert("x-queue-type", "quorum").insert("x-delivery-limit", -1);
        }
        _ => {}
    }
    arguments
}

async fn vandalize(vandal: &mut Option<Wire>, address: SocketAddr, octets: &[u8]) {
    if vandal.is_none() {
        let mut fresh = Wire::open(address, FRAME_MAX).await;
        fresh.send(&[method(1, (20, 10), &[0]), method(2, (20, 10), &[0])].concat()).await;
        *vandal = Some(fresh);
    }
    if let Some(wire) = vandal {
        wire.send(octets).await;
        wire.ignore_input();
        tokio::task::yield_now().await;
    }
}

async fn call(
    wire: &mut Wire,
    id: (u16, u16),
    fields: &[u8],
    answers: &[(u16, u16)],
) -> (u16, u16) {
    wire.send(&method(1, id, fields)).await;
    let frame = wire.read().await.expect("the broker answers");
    let answer = frame.method().0;
    assert!(answers.contains(&answer), "{answer:?} answers {id:?}");
    answer
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
