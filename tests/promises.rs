//! Promises leave as soon as the disk has them, also when nothing else happens on their connection.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use leveret::config::ByteSize;
use leveret::{Broker, Config};
use tempfile::TempDir;

/// How long an acknowledgement may take before it counts as forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15);
/// A batch is read in several goes, and each of them waits for another round of the disk.
const BATCH: u16 = 100;
const BODY_BYTES: usize = 2000;
const BATCHES: usize = 2500;

#[test]
fn the_last_acknowledgements_of_a_batch_wait_for_the_disk_alone() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let dir = TempDir::new().unwrap();
    let config = Config {
        message_memory: ByteSize::mib(4),
        storage_segment_size: ByteSize::mib(1),
        ..Config::local(dir.path())
    };
    let broker = runtime.block_on(Broker::start(config)).unwrap();
    let mut subscriber = Mqtt::connect(&broker, "away");
    subscriber.send(&[0x82, 7, 0, 1, 0, 0, 1, b't', 1]);
    subscriber.expect(&[0x90, 4, 0, 1, 0, 1]);
    drop(subscriber);
    let mut publisher = Mqtt::connect(&broker, "publisher");
    let batch: Vec<u8> = (1..=BATCH).flat_map(publish).collect();
    for _ in 0..BATCHES {
        publisher.send(&batch);
        for packet_id in 1..=BATCH {
            let [high, low] = packet_id.to_be_bytes();
            publisher.expect(&[0x40, 2, high, low]);
        }
    }
    runtime.block_on(broker.shutdown()).unwrap();
}

/// PUBLISH of QoS 1 to the topic `t`, in version 5.
fn publish(packet_id: u16) -> Vec<u8> {
    let rest = 3 + 2 + 1 + BODY_BYTES;
    let mut packet = vec![0x32, (rest % 128) as u8 | 0x80, (rest / 128) as u8, 0, 1, b't'];
    packet.extend(packet_id.to_be_bytes());
    packet.push(0);
    packet.resize(packet.len() + BODY_BYTES, b'x');
    packet
}

/// A client of version 5 that waits for no longer than [`FORGOTTEN`].
struct Mqtt(TcpStream);

impl Mqtt {
    /// With a session that lasts for an hour.
    fn connect(broker: &Broker, client_id: &str) -> Self {
        let socket = TcpStream::connect(broker.mqtt_address()).unwrap();
        socket.set_read_timeout(Some(FORGOTTEN)).unwrap();
        let mut client = Mqtt(socket);
        let properties = [5, 0x11, 0, 0, 0x0e, 0x10];
        let mut connect = b"\x00\x04MQTT\x05\x02\x00\x00".to_vec();
        connect.extend(properties);
        connect.extend((client_id.len() as u16).to_be_bytes());
        connect.extend(client_id.as_bytes());
        client.send(&[&[0x10, connect.len() as u8], &connect[..]].concat());
        let mut head = [0; 2];
        client.0.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x20);
        client.0.read_exact(&mut vec![0; usize::from(head[1])]).unwrap();
        client
    }

    fn send(&mut self, packets: &[u8]) {
        self.0.write_all(packets).unwrap();
    }

    fn expect(&mut self, packet: &[u8]) {
        let mut got = vec![0; packet.len()];
        self.0.read_exact(&mut got).expect("nothing has come");
        assert_eq!(got, packet);
    }
}
