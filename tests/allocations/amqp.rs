//! Clients of AMQP 0-9-1 on channel 1.

use leveret::Broker;

use super::socket::Socket;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

const DELIVER: [u8; 4] = [0, 60, 0, 60];
const ACK: [u8; 4] = [0, 60, 0, 80];

pub struct Amqp {
    socket: Socket,
    /// The tag of the last delivery that it has got.
    last_tag: u64,
    acks: Vec<u8>,
}

impl Amqp {
    pub fn connect(broker: &Broker) -> Self {
        let socket = Socket::connect(broker.amqp_address());
        let mut client = Amqp { socket, last_tag: 0, acks: Vec::with_capacity(4096) };
        client.socket.send(b"AMQP\0\0\x09\x01");
        client.expect([0, 10, 0, 10]);
        let login = b"\0guest\0guest";
        let start_ok = [
            &[0; 4][..],
            &short("PLAIN"),
            &(login.len() as u32).to_be_bytes(),
            login,
            &short("en_US"),
        ];
        client.call([0, 10, 0, 11], 0, &start_ok.concat());
        client.expect([0, 10, 0, 30]);
        client.call([0, 10, 0, 31], 0, &[0, 10, 0, 1, 0, 0, 0, 0]);
        client.call([0, 10, 0, 40], 0, &[&short("/")[..], &[0, 0]].concat());
        client.expect([0, 10, 0, 41]);
        client.call([0, 20, 0, 10], 1, &[0]);
        client.expect([0, 20, 0, 11]);
        client
    }

    pub fn declare(&mut self, queue: &str, durable: bool) {
        let flags = if durable { 2 } else { 0 };
        let arguments = [&[0, 0][..], &short(queue), &[flags, 0, 0, 0, 0]].concat();
        self.call([0, 50, 0, 10], 1, &arguments);
        self.expect([0, 50, 0, 11]);
    }

    pub fn bind(&mut self, queue: &str, exchange: &str, key: &str) {
        let names = [short(queue), short(exchange), short(key)].concat();
        self.call([0, 50, 0, 20], 1, &[&[0, 0][..], &names, &[0; 5]].concat());
        self.expect([0, 50, 0, 21]);
    }

    pub fn consume(&mut self, queue: &str, no_ack: bool) {
        let flags = if no_ack { 2 } else { 0 };
        let arguments = [&[0, 0][..], &short(queue), &[0, flags, 0, 0, 0, 0]].concat();
        self.call([0, 60, 0, 20], 1, &arguments);
        self.expect([0, 60, 0, 21]);
    }

    /// Waits for so many messages.
    pub fn receive(&mut self, count: usize) {
        let (mut left, last_tag) = (count, &mut self.last_tag);
        self.socket.receive(frame_len, |frame| {
            if frame[7..].starts_with(&DELIVER) {
                let tag_at = 12 + usize::from(frame[11]);
                *last_tag = u64::from_be_bytes(frame[tag_at..tag_at + 8].try_into().unwrap());
            }
            left -= usize::from(frame[0] == BODY);
            left == 0
        });
    }

    /// Acknowledges the last messages, each by itself.
    pub fn acknowledge(&mut self, count: usize) {
        self.acks.clear();
        for tag in self.last_tag + 1 - count as u64..=self.last_tag {
            self.acks.extend_from_slice(&[METHOD, 0, 1, 0, 0, 0, 13]);
            self.acks.extend_from_slice(&ACK);
            self.acks.extend_from_slice(&tag.to_be_bytes());
            self.acks.extend_from_slice(&[0, END]);
        }
        self.socket.send(&self.acks);
    }

    fn call(&mut self, method: [u8; 4], channel: u16, arguments: &[u8]) {
        let payload = [&method[..], arguments].concat();
        self.socket.send(&frame(METHOD, channel, &payload));
    }

    fn expect(&mut self, method: [u8; 4]) {
        self.socket.receive(frame_len, |frame| {
            assert_eq!(frame[7..11], method);
            true
        });
    }
}

/// Publishes the same batch again and again.
pub struct Publisher {
    client: Amqp,
    batch: Vec<u8>,
    count: u64,
    published: u64,
}

impl Publisher {
    /// A batch of so many messages, to one queue after the other.
    pub fn new(broker: &Broker, queues: &[&str], count: usize, is_persistent: bool) -> Self {
        let mut client = Amqp::connect(broker);
        if is_persistent {
            client.call([0, 85, 0, 10], 1, &[0]);
            client.expect([0, 85, 0, 11]);
        }
        let properties: &[u8] = if is_persistent { &[0x10, 0, 2] } else { &[0, 0] };
        let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16][..], properties].concat();
        let batch = queues.iter().cycle().take(count).flat_map(|queue| {
            let publish = [&[0, 60, 0, 40, 0, 0, 0][..], &short(queue), &[0]].concat();
            [frame(METHOD, 1, &publish), frame(HEADER, 1, &header), frame(BODY, 1, &[b'x'; 16])]
                .concat()
        });
        Publisher { batch: batch.collect(), client, count: count as u64, published: 0 }
    }

    pub fn publish(&mut self) {
        self.client.socket.send(&self.batch);
        self.published += self.count;
    }

    pub fn wait_for_confirms(&mut self) {
        let mut left = self.count;
        let before = self.published - self.count;
        self.client.socket.receive(frame_len, |frame| {
            assert_eq!(frame[7..11], ACK);
            let through = u64::from_be_bytes(frame[11..19].try_into().unwrap());
            let is_multiple = frame[19] & 1 == 1;
            left = if is_multiple { before + self.count - through } else { left - 1 };
            left == 0
        });
    }
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    let size = bytes.get(3..7)?;
    Some(8 + u32::from_be_bytes(size.try_into().unwrap()) as usize)
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = (payload.len() as u32).to_be_bytes();
    [&[kind][..], &channel.to_be_bytes(), &size, payload, &[END]].concat()
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8][..], text.as_bytes()].concat()
}

const END: u8 = 0xce;
