//! A client that sends what chance has it send, and watches what comes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::chance::Chance;
use super::packets::*;

/// See the module's documentation.
pub struct Client {
    address: SocketAddr,
    id: u8,
    wire: Option<Wire>,
}

/// A connection.
struct Wire {
    socket: TcpStream,
    version: u8,
    input: Vec<u8>,
    receive_maximum: usize,
    /// Identifiers of what came with QoS 1 or 2 and was not acknowledged.
    in_flight: BTreeSet<u16>,
    /// Identifiers that were acknowledged before what they are of was read.
    acknowledged: BTreeSet<u16>,
    is_connected: bool,
}

/// How long the broker may take to answer.
pub const DEADLINE: Duration = Duration::from_secs(10);

const TOPICS: [&[u8]; 9] =
    [b"a", b"a/b", b"b", b"$SYS/x", b"$delayed/0/a", b"$delayed/x/a", b"", b"a/#", b"\xff"];
const FILTERS: [&[u8]; 9] =
    [b"a", b"a/+", b"#", b"+/b", b"$share/g/#", b"$share/g/a", b"a/#/b", b"$share//a", b""];

impl Client {
    pub fn new(address: SocketAddr, id: u8) -> Self {
        Client { address, id, wire: None }
    }

    /// Does one thing.
    pub async fn act(&mut self, chance: &mut Chance<'_>) {
        let Some(wire) = &mut self.wire else {
            return self.connect(chance).await;
        };
        let version = wire.version;
        let packet_id = 1 + chance.below(4) as u16;
        let out = match chance.below(14) {
            0 => connect(self.id, version, chance),
            1..=4 => publish(version, packet_id, chance),
            5 => subscribe(version, chance.pick(&FILTERS), chance.octet() & 0x2f),
            6 => subscribe(version, chance.pick(&FILTERS), chance.below(3) as u8),
            7 => {
                let filter = text(chance.pick(&FILTERS));
                packet(0xa2, &[&[0, 8], &properties(version, &[])[..], &filter].concat())
            }
            8 => acknowledgement(PUBREL, packet_id),
            9 => {
                let oldest = wire.in_flight.first().copied().unwrap_or(packet_id);
                wire.settle(chance.pick(&[PUBACK, PUBREC, PUBCOMP]), oldest)
            }
            10 => wire.settle(chance.pick(&[PUBACK, PUBREC, PUBCOMP]), packet_id),
            11 => {
                // It may be the beginning of a long packet, so no answer is waited for.
                _ = wire.socket.write_all(&chance.octets(8)).await;
                self.wire = None;
                return;
            }
            12 => packet(0xe0, if version == 5 && chance.one_in(2) { &[4] } else { &[] }),
            _ => {
                self.wire = None;
                return;
            }
        };
        if !wire.exchange(&out).await {
            self.wire = None;
        }
    }

    async fn connect(&mut self, chance: &mut Chance<'_>) {
        let version = chance.pick(&[3, 4, 5, 5]);
        let socket = TcpStream::connect(self.address).await.expect("the broker listens");
        let mut wire = Wire {
            socket,
            version,
            input: Vec::new(),
            receive_maximum: usize::from(u16::MAX),
            in_flight: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            is_connected: false,
        };
        let limits = chance.pick(&[(0, 65_535), (1, 1), (3, 3)]);
        let out = connect_with(self.id, version, limits.0, chance);
        if version == 5 {
            wire.receive_maximum = limits.1;
        }
        if wire.exchange(&out).await {
            self.wire = Some(wire);
        }
    }

    /// Goes, and ends its session.
    pub async fn end(&mut self) {
        let socket = TcpStream::connect(self.address).await.expect("the broker listens");
        self.wire = None;
        let mut wire = Wire {
            socket,
            version: 4,
            input: Vec::new(),
            receive_maximum: usize::from(u16::MAX),
            in_flight: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            is_connected: false,
        };
        let content = [&text(b"MQTT")[..], &[4, 2, 0, 0], &text(&[b'c', self.id])].concat();
        assert!(wire.exchange(&packet(0x10, &content)).await, "a proper client is let in");
        wire.socket.write_all(&packet(0xe0, &[])).await.ok();
        let mut rest = Vec::new();
        let end = timeout(DEADLINE, wire.socket.read_to_end(&mut rest)).await;
        end.expect("the broker closes").ok();
    }
}

fn connect(id: u8, version: u8, chance: &mut Chance<'_>) -> Vec<u8> {
    connect_with(id, version, 0, chance)
}

fn connect_with(id: u8, version: u8, receive_maximum: u8, chance: &mut Chance<'_>) -> Vec<u8> {
    let name: &[u8] = if version == 3 { b"MQIsdp" } else { b"MQTT" };
    let (is_clean, has_will) = (chance.one_in(3), chance.one_in(3));
    let flags = u8::from(is_clean) << 1 | u8::from(has_will) << 2;
    let mut wanted = vec![0x11, 0, 0, 0, chance.pick(&[0, 1, 100])];
    if receive_maximum > 0 {
        wanted.extend([0x21, 0, receive_maximum]);
    }
    let mut content = [&text(name)[..], &[version, flags, 0, 0]].concat();
    content.extend(properties(version, &wanted));
    content.extend(text(&[b'c', id]));
    if has_will {
        content.extend(properties(version, &[0x18, 0, 0, 0, chance.pick(&[0, 1])]));
        content.extend(text(b"a"));
        content.extend(text(b"will"));
    }
    packet(0x10, &content)
}

fn publish(version: u8, packet_id: u16, chance: &mut Chance<'_>) -> Vec<u8> {
    let qos = if chance.one_in(16) { 3 } else { chance.below(3) as u8 };
    let (retain, dup) = (chance.one_in(4), qos > 0 && chance.one_in(4));
    let topic = if chance.one_in(3) { chance.pick(&TOPICS) } else { chance.pick(&TOPICS[..3]) };
    let mut content = text(topic);
    if qos > 0 {
        content.extend(packet_id.to_be_bytes());
    }
    let wanted: &[u8] = if chance.one_in(4) { &[2, 0, 0, 0, 1] } else { &[] };
    content.extend(properties(version, wanted));
    content.resize(content.len() + chance.pick(&[0, 1, 100, 3000]), b'x');
    packet(0x30 | u8::from(dup) << 3 | qos << 1 | u8::from(retain), &content)
}

impl Wire {
    /// Acknowledges a message, in one way or another; it may not be there.
    fn settle(&mut self, kind: u8, packet_id: u16) -> Vec<u8> {
        if kind != PUBREC && !self.in_flight.remove(&packet_id) {
            self.acknowledged.insert(packet_id);
        }
        acknowledgement(kind, packet_id)
    }

    /// Sends, and reads until the broker has answered; says whether the connection goes on.
    async fn exchange(&mut self, out: &[u8]) -> bool {
        // Where the broker has closed already, reading shows it.
        _ = self.socket.write_all(&[out, &PINGREQ].concat()).await;
        loop {
            while let Some(packet) = take(&mut self.input) {
                if self.handle(&packet) {
                    return true;
                }
            }
            let read = timeout(DEADLINE, self.socket.read_buf(&mut self.input)).await;
            let read = read.expect("the broker answers, or closes");
            if !read.is_ok_and(|read| read > 0) {
                return false;
            }
        }
    }

    /// Says whether the packet is the answer that was waited for.
    fn handle(&mut self, packet: &(u8, Vec<u8>)) -> bool {
        match packet.0 >> 4 {
            CONNACK => {
                assert!(!self.is_connected, "a second CONNACK");
                self.is_connected = true;
            }
            kind => assert!(self.is_connected, "packet {kind} before CONNACK"),
        }
        if packet.0 >> 4 == PUBLISH
            && let Some(packet_id) = packet_id(packet)
            && !self.acknowledged.contains(&packet_id)
        {
            self.in_flight.insert(packet_id);
            assert!(self.in_flight.len() <= self.receive_maximum, "more than Receive Maximum");
        }
        packet.0 >> 4 == PINGRESP
    }
}
