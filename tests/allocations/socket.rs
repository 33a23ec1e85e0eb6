//! A socket that is read in whole frames, into a buffer of a fixed size.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// More than anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

impl Socket {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Socket { stream, buffer: vec![0; 64 * 1024], filled: 0 }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Takes frames until `is_last` says so. `len` gives the length of the frame in front, as soon as that
    /// is known.
    pub fn receive(
        &mut self,
        len: fn(&[u8]) -> Option<usize>,
        mut is_last: impl FnMut(&[u8]) -> bool,
    ) {
        let mut taken = 0;
        loop {
            while let Some(frame) = front(&self.buffer[taken..self.filled], len) {
                let is_over = is_last(frame);
                taken += frame.len();
                if is_over {
                    self.buffer.copy_within(taken..self.filled, 0);
                    self.filled -= taken;
                    return;
                }
            }
            self.buffer.copy_within(taken..self.filled, 0);
            self.filled -= taken;
            taken = 0;
            let read = self.stream.read(&mut self.buffer[self.filled..]).expect("nothing has come");
            assert!(read > 0, "the broker has closed the connection");
            self.filled += read;
        }
    }
}

fn front(bytes: &[u8], len: fn(&[u8]) -> Option<usize>) -> Option<&[u8]> {
    bytes.get(..len(bytes)?)
}
