//! The loop of a connection: moves bytes between a socket and a frontend.
//!
//! One task and one future per connection, whatever happens on it. An idle connection holds no
//! buffers: reading happens in a buffer that the thread lends, and only an unfinished frame is kept.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::ErrorKind::{FileTooLarge, InvalidData};
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use leveret_core::Position;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::clock;
use super::frontend::Frontend;
use super::limits::Limit;
use super::outbox::Mail;

/// Bytes that went over a connection, for management.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the client.
    pub received: AtomicU64,
    /// To the client.
    pub sent: AtomicU64,
}

impl Traffic {
    /// From the client, and to it.
    pub fn totals(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// A socket with the frontend that speaks on it.
pub struct Connection<S, F: Frontend> {
    socket: S,
    frontend: F,
    /// The beginning of a frame whose rest has not come yet.
    unfinished: Vec<u8>,
    /// The frontend stopped taking input before it needed more of it.
    is_held: bool,
    out: VecDeque<Bytes>,
    waiting: usize,
    mail: Mail,
    timer: Pin<Box<Sleep>>,
    /// The position that the node will wake the task for.
    wakes_at: Option<Position>,
    /// When the frontend was seen to be closed.
    closed_at: Option<Instant>,
    ended: Option<End>,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The socket is gone.
    Gone,
    /// What came is no stream of bytes; the socket tells the peer so.
    Refused,
}

/// What one read takes at the most.
const READ_BYTES: usize = 64 * 1024;
/// Buffers in one `writev`.
const SLICES_MAX: usize = 64;
/// Output that waits for the socket at which no more input is taken.
const OUT_BYTES_MAX: usize = 1024 * 1024;
/// Reads in a row before other connections get their turn.
const READS_MAX: usize = 8;
/// How long a closing connection is read from, so that the peer sees the last words.
const LINGER: Duration = Duration::from_secs(1);

impl<S: AsyncRead + AsyncWrite + Unpin, F: Frontend> Connection<S, F> {
    /// A connection that has just been accepted.
    pub fn new(socket: S, frontend: F) -> Self {
        Connection {
            socket,
            frontend,
            unfinished: Vec::new(),
            is_held: false,
            // One buffer is what a quiet client has at a time.
            out: VecDeque::with_capacity(1),
            waiting: 0,
            mail: Mail::default(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            wakes_at: None,
            closed_at: None,
            ended: None,
        }
    }

    /// Runs until the conversation is over or the socket is gone. A task has room for all that its
    /// future may ever be, so what it works on is in boxes.
    pub fn run(self: Box<Self>) -> impl Future<Output = ()> {
        let (mut talk, mut end) = (Some(self), None);
        poll_fn(move |context| {
            if let Some(connection) = &mut talk {
                ready!(connection.poll(context));
                end = talk.take().map(|connection| Box::pin(connection.end()));
            }
            end.as_mut().map_or(Poll::Ready(()), |end| end.as_mut().poll(context))
        })
    }

    async fn end(mut self: Box<Self>) {
        self.frontend.close();
        // What was handed out meanwhile goes back: its consumers are gone.
        while self.frontend.peer().outbox.take(&mut self.mail, None) {
            self.frontend.handle_mail(&mut self.mail);
        }
        let is_said = self.frontend.is_closed() && self.ended.is_none();
        if is_said || self.ended == Some(End::Refused) {
            // The peer may have gone away meanwhile; there is nobody left to tell.
            _ = tokio::time::timeout(LINGER, self.linger()).await;
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            while self.frontend.peer().outbox.take(&mut self.mail, Some(context)) {
                self.frontend.handle_mail(&mut self.mail);
            }
            self.poll_durable();
            let read = self.poll_read(context);
            self.poll_durable();
            let now = clock::now();
            // A peer that is not read from, because it does not read, cannot be blamed for silence.
            if self.timeout().is_some_and(|at| at <= now) && self.waiting <= OUT_BYTES_MAX {
                self.frontend.handle_timeout(now);
            }
            self.poll_write(context);
            if self.ended.is_some() || self.is_over() {
                return Poll::Ready(());
            }
            if self.poll_timer(context) || (read == Progress::Blocked && self.may_read()) {
                continue;
            }
            if read == Progress::Some {
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
    }

    /// Whether everything has been said. A peer that does not take the last words gets no more time
    /// than [`LINGER`].
    fn is_over(&mut self) -> bool {
        if !self.frontend.is_closed() {
            return false;
        }
        let closed_at = *self.closed_at.get_or_insert_with(|| {
            self.frontend.close();
            clock::now()
        });
        self.out.is_empty() || clock::now() >= closed_at + LINGER
    }

    /// When something has to be done although nothing has happened.
    fn timeout(&self) -> Option<Instant> {
        match self.closed_at {
            Some(closed_at) => Some(closed_at + LINGER),
            None if self.waiting > OUT_BYTES_MAX => None,
            None => self.frontend.poll_timeout(),
        }
    }

    /// Lets promises out, and sees to it that the task is woken for the first one that has to wait.
    fn poll_durable(&mut self) {
        while let Some(position) = self.frontend.waits_for() {
            self.frontend.handle_durable(self.frontend.node().durable());
            if self.frontend.waits_for() != Some(position) {
                continue;
            }
            if self.wakes_at == Some(position) {
                return;
            }
            self.wakes_at = Some(position);
            self.frontend.node().wake_when_durable(position, &self.frontend.peer().outbox);
            // The watermark may have passed it before that was known; so it is looked at once more.
        }
    }

    /// Reads while there is something to read and the frontend wants it.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Progress {
        for _ in 0..READS_MAX {
            if !self.may_read() {
                return Progress::Blocked;
            }
            if self.is_held && self.consume_unfinished() {
                continue;
            }
            match with_buffer(|buffer| self.read_once(context, buffer)) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Ok(read)) if read > 0 => self.flush_frontend(),
                Poll::Ready(read) => {
                    let error = read.err().map(|error| error.kind());
                    if error == Some(FileTooLarge) {
                        self.frontend.node().refusals.note(Limit::WebSocketMessage);
                    }
                    let is_refused = matches!(error, Some(InvalidData | FileTooLarge));
                    self.ended = Some(if is_refused { End::Refused } else { End::Gone });
                    return Progress::None;
                }
            }
        }
        Progress::Some
    }

    fn may_read(&self) -> bool {
        self.frontend.wants_input() && self.waiting <= OUT_BYTES_MAX && !self.frontend.is_closed()
    }

    fn is_complete(&self) -> bool {
        !self.unfinished.is_empty() && self.unfinished.len() >= self.frontend.needed_input()
    }

    /// Says whether the frontend took anything.
    fn consume_unfinished(&mut self) -> bool {
        let before = self.unfinished.len();
        let mut input = &self.unfinished[..];
        self.frontend.handle_input(clock::now(), &mut input);
        let left = input.len();
        self.unfinished.drain(..before - left);
        self.is_held = !self.frontend.wants_input();
        self.flush_frontend();
        left < before
    }

    fn read_once(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let mut buf = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut buf))?;
        let read = buf.filled();
        self.frontend.peer().traffic.received.fetch_add(read.len() as u64, Ordering::Relaxed);
        let len = read.len();
        if self.unfinished.is_empty() {
            let mut input = read;
            self.frontend.handle_input(clock::now(), &mut input);
            self.unfinished.extend_from_slice(input);
            self.is_held = !self.frontend.wants_input();
        } else {
            self.unfinished.extend_from_slice(read);
            if self.is_complete() {
                self.consume_unfinished();
            }
        }
        if self.unfinished.is_empty() {
            self.unfinished = Vec::new();
        }
        Poll::Ready(Ok(len))
    }

    fn flush_frontend(&mut self) {
        let before = self.out.len();
        self.frontend.poll_transmit(&mut self.out);
        self.waiting += self.out.iter().skip(before).map(Bytes::len).sum::<usize>();
    }

    /// Writes while the socket takes it.
    fn poll_write(&mut self, context: &mut Context<'_>) {
        loop {
            self.flush_frontend();
            if self.out.is_empty() {
                // Deliveries that were dropped are never written.
                self.frontend.handle_written(0);
                return self.poll_flush(context);
            }
            match self.write_once(context) {
                Poll::Pending => return,
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.waiting -= written;
                    self.frontend.peer().traffic.sent.fetch_add(written as u64, Ordering::Relaxed);
                    self.frontend.handle_written(self.waiting);
                }
                Poll::Ready(_) => {
                    self.ended = Some(End::Gone);
                    return self.out.clear();
                }
            }
        }
    }

    /// A socket may hold a part of what it took.
    fn poll_flush(&mut self, context: &mut Context<'_>) {
        if let Poll::Ready(Err(_)) = Pin::new(&mut self.socket).poll_flush(context) {
            self.ended = Some(End::Gone);
        }
    }

    fn write_once(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.out.len().min(SLICES_MAX);
        for (slice, chunk) in slices.iter_mut().zip(&self.out) {
            *slice = IoSlice::new(chunk);
        }
        let socket = Pin::new(&mut self.socket);
        let written = ready!(socket.poll_write_vectored(context, &slices[..count]))?;
        let mut left = written;
        while let Some(first) = self.out.front_mut().filter(|_| left > 0) {
            let taken = first.len().min(left);
            first.advance(taken);
            left -= taken;
            if first.is_empty() {
                self.out.pop_front();
            }
        }
        Poll::Ready(Ok(written))
    }

    /// Says whether the time has come for the frontend.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> bool {
        let Some(at) = self.timeout() else { return false };
        loop {
            if self.timer.deadline() > at.into() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(at.into());
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return false;
            }
            if at <= clock::now() {
                return true;
            }
            // It was set for an earlier time. To let it fire is cheaper than to move it whenever
            // the peer says something.
        }
    }

    /// Says nothing more, and reads until the peer has gone: a socket that is closed with unread
    /// input loses the output too.
    async fn linger(&mut self) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        if self.socket.shutdown().await.is_err() {
            return;
        }
        let mut rest = vec![0; 4096];
        while matches!(self.socket.read(&mut rest).await, Ok(read) if read > 0) {}
    }
}

#[derive(PartialEq, Eq)]
enum Progress {
    /// Nothing is left to do before somebody wakes the task.
    None,
    /// There may be more to read.
    Some,
    /// Nothing is taken before something else has gone ahead.
    Blocked,
}

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's read buffer.
fn with_buffer<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take();
    buffer.resize(READ_BYTES, 0);
    let result = read(&mut buffer);
    BUFFER.set(buffer);
    result
}
