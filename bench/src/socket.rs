//! A TCP connection with what was read from it and not yet understood.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Error;
use crate::uri::Uri;

/// How long an answer is waited for.
pub const ANSWER_SECONDS: u64 = 20;

/// What is read at once. More than the receive buffer usually holds would not help.
const READ: usize = 256 * 1024;

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// Empty until something is to be read: a connection that only is there takes no memory.
    input: Vec<u8>,
    start: usize,
    end: usize,
}

impl Socket {
    /// Connects.
    pub async fn connect(uri: &Uri) -> Result<Socket, Error> {
        let failed = |reason: String| Error::Connect { address: uri.to_string(), reason };
        let connecting = TcpStream::connect((&*uri.host, uri.port));
        let stream = match timeout(Duration::from_secs(ANSWER_SECONDS), connecting).await {
            Ok(connected) => connected.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed("no answer".to_owned())),
        };
        stream.set_nodelay(true)?;
        Ok(Socket { stream, input: Vec::new(), start: 0, end: 0 })
    }

    /// Sends all of it.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        Ok(self.stream.write_all(octets).await?)
    }

    /// Waits for more input.
    pub async fn receive(&mut self) -> Result<(), Error> {
        loop {
            self.stream.readable().await?;
            if self.try_receive()? {
                return Ok(());
            }
        }
    }

    /// Waits until it may be read from, or also written to.
    pub async fn ready(&self, write: bool) -> Result<(), Error> {
        let interest = match write {
            true => tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE,
            false => tokio::io::Interest::READABLE,
        };
        self.stream.ready(interest).await?;
        Ok(())
    }

    /// Reads what is there: whether anything was.
    pub fn try_receive(&mut self) -> Result<bool, Error> {
        self.make_room();
        match self.stream.try_read(&mut self.input[self.end..]) {
            Ok(0) => Err(Error::Gone("closed by the broker".to_owned())),
            Ok(read) => {
                self.end += read;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes as much as can be written now: how much that is.
    pub fn try_send(&mut self, octets: &[u8]) -> Result<usize, Error> {
        match self.stream.try_write(octets) {
            Ok(written) => Ok(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// What was read and not consumed.
    pub fn unread(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// Drops octets from the front of what was read.
    pub fn consume(&mut self, octets: usize) {
        self.start += octets;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the buffer back, if nothing is in it.
    pub fn shrink(&mut self) {
        if self.start == self.end {
            (self.input, self.start, self.end) = (Vec::new(), 0, 0);
        }
    }

    /// Makes sure that something can be read. What does not fit into the buffer is one packet of
    /// the broker's, and a packet has a limit in its protocol.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.input.len() {
            self.input.resize((self.input.len() * 2).max(READ), 0);
        }
    }
}

/// Gives up when no answer comes.
pub async fn answered<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(Duration::from_secs(ANSWER_SECONDS), answer).await {
        Ok(result) => result,
        Err(_) => Err(Error::Silent { what, seconds: ANSWER_SECONDS }),
    }
}
