//! An AMQP client that says one method at a time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Api, DEADLINE};

/// Class and number of a method.
pub type Id = (u16, u16);

pub const OPEN_CHANNEL: Id = (20, 10);
pub const CLOSE_CHANNEL: Id = (20, 40);
pub const DECLARE_QUEUE: Id = (50, 10);
pub const DELETE_QUEUE: Id = (50, 40);
pub const CONSUME: Id = (60, 20);
pub const CANCEL: Id = (60, 30);
const PUBLISH: Id = (60, 40);
pub const RETURN: Id = (60, 50);
pub const DELIVER: Id = (60, 60);
pub const GET: Id = (60, 70);
pub const GET_OK: Id = (60, 71);
pub const GET_EMPTY: Id = (60, 72);
pub const ACK: Id = (60, 80);
pub const REJECT: Id = (60, 90);
pub const CONFIRM: Id = (85, 10);
pub const SELECT_TX: Id = (90, 10);
pub const COMMIT: Id = (90, 20);

/// A connection with channel 1 open.
pub struct Amqp(TcpStream);

impl Amqp {
    /// Logs in as guest.
    pub fn connect(api: &Api) -> Amqp {
        let socket = TcpStream::connect(api.broker.amqp_address()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut client = Amqp(socket);
        client.0.write_all(b"AMQP\0\0\x09\x01").unwrap();
        client.expect((10, 10));
        let login = Args::default().table().text("PLAIN").long(b"\0guest\0guest").text("en_US");
        client.send(0, (10, 11), login);
        client.expect((10, 30));
        client.send(0, (10, 31), Args::default().short(100).int(131_072).short(0));
        client.send(0, (10, 40), Args::default().text("/").text("").bits(0));
        client.expect((10, 41));
        client.call(1, OPEN_CHANNEL, Args::default().text(""));
        client
    }

    /// Says a method.
    pub fn send(&mut self, channel: u16, id: Id, args: Args) {
        let mut payload = Vec::new();
        payload.extend(id.0.to_be_bytes());
        payload.extend(id.1.to_be_bytes());
        payload.extend(args.0);
        self.frame(1, channel, &payload);
    }

    /// Says a method and waits for its answer, whose number is one higher.
    pub fn call(&mut self, channel: u16, id: Id, args: Args) -> Vec<u8> {
        self.send(channel, id, args);
        self.expect((id.0, id.1 + 1))
    }

    /// Publishes on a channel; `mandatory` has it come back if no queue gets it.
    pub fn publish(&mut self, channel: u16, to: (&str, &str), mandatory: bool, body: &[u8]) {
        let args = Args::default().short(0).text(to.0).text(to.1).bits(u8::from(mandatory));
        self.send(channel, PUBLISH, args);
        let mut header = vec![0, 60, 0, 0];
        header.extend((body.len() as u64).to_be_bytes());
        header.extend([0, 0]);
        self.frame(2, channel, &header);
        if !body.is_empty() {
            self.frame(3, channel, body);
        }
    }

    /// Declares a queue, durable if so wanted.
    pub fn declare(&mut self, queue: &str, durable: bool) {
        let bits = u8::from(durable) << 1;
        self.call(1, DECLARE_QUEUE, Args::default().short(0).text(queue).bits(bits).table());
    }

    /// Consumes from a queue.
    pub fn consume(&mut self, channel: u16, queue: &str, tag: &str, no_ack: bool) {
        let bits = u8::from(no_ack) << 1;
        let args = Args::default().short(0).text(queue).text(tag).bits(bits).table();
        self.call(channel, CONSUME, args);
    }

    /// Gets from a queue; what came instead of a method's answer is its first frame.
    pub fn get(&mut self, queue: &str, no_ack: bool, answer: Id) {
        self.send(1, GET, Args::default().short(0).text(queue).bits(u8::from(no_ack)));
        self.expect(answer);
    }

    /// Reads until this method comes, and gives its arguments.
    pub fn expect(&mut self, id: Id) -> Vec<u8> {
        loop {
            let (kind, payload) = self.read_frame();
            let is_it = kind == 1
                && payload[..2] == id.0.to_be_bytes()
                && payload[2..4] == id.1.to_be_bytes();
            if is_it {
                return payload[4..].to_vec();
            }
        }
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        frame.push(0xCE);
        self.0.write_all(&frame).unwrap();
    }

    fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).unwrap();
        let len = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
        let mut payload = vec![0; len + 1];
        self.0.read_exact(&mut payload).unwrap();
        assert_eq!(payload.pop(), Some(0xCE));
        (head[0], payload)
    }
}

/// The arguments of a method.
#[derive(Default)]
pub struct Args(Vec<u8>);

impl Args {
    pub fn bits(self, bits: u8) -> Self {
        self.with(&[bits])
    }

    pub fn short(self, number: u16) -> Self {
        self.with(&number.to_be_bytes())
    }

    pub fn int(self, number: u32) -> Self {
        self.with(&number.to_be_bytes())
    }

    pub fn tag(self, number: u64) -> Self {
        self.with(&number.to_be_bytes())
    }

    pub fn text(self, text: &str) -> Self {
        self.with(&[text.len() as u8]).with(text.as_bytes())
    }

    pub fn long(self, octets: &[u8]) -> Self {
        self.int(octets.len() as u32).with(octets)
    }

    /// An empty table.
    pub fn table(self) -> Self {
        self.int(0)
    }

    fn with(mut self, octets: &[u8]) -> Self {
        self.0.extend(octets);
        self
    }
}
