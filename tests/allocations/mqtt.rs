//! Clients of MQTT 3.1.1 with clean sessions.

use leveret::Broker;

use super::socket::Socket;

const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;

pub struct Mqtt {
    socket: Socket,
    batch: Vec<u8>,
    acks: Vec<u8>,
}

impl Mqtt {
    pub fn connect(broker: &Broker) -> Self {
        let mut socket = Socket::connect(broker.mqtt_address());
        socket.send(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00");
        socket.receive(packet_len, |packet| {
            assert_eq!(packet, [0x20, 2, 0, 0]);
            true
        });
        Mqtt { socket, batch: Vec::new(), acks: Vec::with_capacity(4096) }
    }

    pub fn subscribe(broker: &Broker, topic: &str, qos: u8) -> Self {
        let mut client = Mqtt::connect(broker);
        client.socket.send(&packet(0x82, &[&[0, 1][..], &string(topic), &[qos]].concat()));
        client.socket.receive(packet_len, |packet| {
            assert_eq!(packet, [0x90, 3, 0, 1, qos]);
            true
        });
        client
    }

    /// Makes a batch of so many messages.
    pub fn prepare(&mut self, topic: &str, qos: u8, count: usize) {
        let messages = (1..=count as u16).flat_map(|packet_id| {
            let id = packet_id.to_be_bytes();
            let id = if qos > 0 { &id[..] } else { &[] };
            packet(PUBLISH | qos << 1, &[&string(topic), id, &[b'x'; 16]].concat())
        });
        self.batch = messages.collect();
    }

    pub fn publish(&mut self) {
        self.socket.send(&self.batch);
    }

    /// Waits for so many messages, and acknowledges those that want it.
    pub fn receive(&mut self, count: usize) {
        let (mut left, acks) = (count, &mut self.acks);
        acks.clear();
        self.socket.receive(packet_len, |packet| {
            assert_eq!(packet[0] & 0xf0, PUBLISH);
            if packet[0] & 0x06 != 0 {
                let id_at = 4 + usize::from(packet[3]);
                acks.extend_from_slice(&[PUBACK, 2, packet[id_at], packet[id_at + 1]]);
            }
            left -= 1;
            left == 0
        });
        if !self.acks.is_empty() {
            self.socket.send(&self.acks);
        }
    }

    pub fn wait_for_acknowledgements(&mut self, qos: u8, count: usize) {
        let mut left = if qos > 0 { count } else { return };
        self.socket.receive(packet_len, |packet| {
            assert_eq!(packet[0], PUBACK);
            left -= 1;
            left == 0
        });
    }
}

/// Packets here are short: their length takes one byte.
fn packet_len(bytes: &[u8]) -> Option<usize> {
    Some(2 + usize::from(*bytes.get(1)?))
}

fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    assert!(rest.len() < 128);
    [&[first, rest.len() as u8][..], rest].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
