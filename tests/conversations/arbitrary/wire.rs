//! A connection to the broker: octets out, frames in, with a deadline.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frames::{Frame, Id, PROTOCOL_HEADER, long, method, short};

/// More than any answer may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// See the module's documentation.
pub struct Wire {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Wire {
    /// A connection after its handshake.
    pub async fn open(address: SocketAddr, frame_max: u32) -> Wire {
        let socket = TcpStream::connect(address).await.expect("the broker listens");
        socket.set_nodelay(true).expect("a socket has this option");
        let mut wire = Wire { socket, input: Vec::new() };
        wire.send(PROTOCOL_HEADER).await;
        wire.expect((10, 10)).await;
        let start_ok =
            [long(&capabilities()), short("PLAIN"), long(b"\0guest\0guest"), short("en_US")];
        wire.send(&method(0, (10, 11), &start_ok.concat())).await;
        wire.expect((10, 30)).await;
        let tune_ok = [&2047u16.to_be_bytes()[..], &frame_max.to_be_bytes(), &[0, 0]].concat();
        wire.send(&method(0, (10, 31), &tune_ok)).await;
        wire.send(&method(0, (10, 40), b"\x01/\x00\x00")).await;
        wire.expect((10, 41)).await;
        wire
    }

    /// Writes. A broker that has gone is noticed by whoever reads.
    pub async fn send(&mut self, octets: &[u8]) {
        _ = self.socket.write_all(octets).await;
    }

    /// The next frame; `None` at the end.
    pub async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.input) {
                return Some(frame);
            }
            let read = self.socket.read_buf(&mut self.input);
            let read = tokio::time::timeout(DEADLINE, read).await;
            if matches!(read.expect("the broker answers in time"), Ok(0) | Err(_)) {
                return None;
            }
        }
    }

    /// Takes what is there and throws it away.
    pub fn ignore_input(&mut self) {
        let mut waste = [0; 4096];
        while matches!(self.socket.try_read(&mut waste), Ok(len) if len > 0) {}
    }

    /// Reads until the broker has closed.
    pub async fn read_to_end(&mut self) {
        while self.read().await.is_some() {}
    }

    async fn expect(&mut self, id: Id) {
        let frame = self.read().await.expect("the broker goes on with the handshake");
        assert_eq!(frame.method().0, id);
    }
}

fn capabilities() -> Vec<u8> {
    let mut capabilities = leveret_amqp::TableBuilder::new();
    capabilities.insert("consumer_cancel_notify", true);
    let mut properties = leveret_amqp::TableBuilder::new();
    properties.insert("capabilities", capabilities.as_table());
    properties.as_table().as_encoded().to_vec()
}
