//! A broker and its clients: carries out a script, and then looks whether others can work.

use leveret::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::broker;
use super::chance::Chance;
use super::client::{Client, DEADLINE};
use super::packets::*;

/// See the module's documentation. It is used for many scripts, one after the other.
pub struct World {
    broker: Broker,
    witness: TcpStream,
    /// What the witness has read and not looked at.
    input: Vec<u8>,
    scripts: u64,
}

const CLIENTS: usize = 3;
const WITNESSED: &[u8] = b"witnessed";

impl World {
    pub async fn start() -> World {
        let broker = broker::start().await;
        let witness = TcpStream::connect(broker.mqtt_address()).await.expect("the broker listens");
        let mut world = World { broker, witness, input: Vec::new(), scripts: 0 };
        let content = [&text(b"MQTT")[..], &[4, 2, 0, 0], &text(b"witness")].concat();
        world.send(&packet(0x10, &content)).await;
        world.expect(CONNACK).await;
        world.send(&subscribe(4, WITNESSED, 1)).await;
        world
    }

    /// Carries out what octets say.
    pub async fn run(&mut self, octets: &[u8]) {
        let address = self.broker.mqtt_address();
        let mut clients: Vec<Client> =
            (b'0'..).take(CLIENTS).map(|id| Client::new(address, id)).collect();
        let mut chance = Chance::new(octets);
        while !chance.is_over() {
            clients[chance.below(CLIENTS)].act(&mut chance).await;
        }
        for client in &mut clients {
            client.end().await;
        }
        self.witness().await;
    }

    /// A message with QoS 1 is acknowledged and arrives.
    async fn witness(&mut self) {
        self.scripts += 1;
        let payload = self.scripts.to_be_bytes();
        let content = [&text(WITNESSED)[..], &[0, 1], &payload].concat();
        self.send(&packet(0x32, &content)).await;
        let (mut is_acknowledged, mut arrived) = (false, None);
        while !is_acknowledged || arrived.is_none() {
            let message = self.next().await;
            match message.0 >> 4 {
                PUBACK => is_acknowledged = true,
                PUBLISH => arrived = Some(message),
                _ => {}
            }
        }
        let arrived = arrived.expect("it has arrived");
        assert!(arrived.1.ends_with(&payload), "an older message comes again");
        let packet_id = packet_id(&arrived).expect("QoS 1");
        self.send(&acknowledgement(PUBACK, packet_id)).await;
    }

    async fn send(&mut self, packet: &[u8]) {
        self.witness.write_all(packet).await.expect("the witness stays connected");
    }

    async fn expect(&mut self, kind: u8) {
        while self.next().await.0 >> 4 != kind {}
    }

    async fn next(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some(packet) = take(&mut self.input) {
                return packet;
            }
            let read = timeout(DEADLINE, self.witness.read_buf(&mut self.input)).await;
            let read = read.expect("the broker answers").expect("the witness stays connected");
            assert!(read > 0, "the witness stays connected");
        }
    }
}
