//! The one loop that moves octets between a socket and a [`Peer`], which knows neither sockets nor
//! waiting. It writes and reads as both are possible, so that a broker which reads nothing until its
//! own output is taken does not hold it up for ever.

use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::error::Error;
use crate::socket::Socket;
use crate::timer::Timer;

/// Octets that wait to be written before no more are made. Thousands of small messages are one
/// write; much more would only be late in the times that they are stamped with.
pub const OUTPUT: usize = 128 * 1024;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Publish and consume.
    Run,
    /// Publish nothing more, wait for confirms, consume what is there.
    Drain,
    /// Come to an end.
    End,
}

/// What a peer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Room in the output.
    Room,
    /// Input, or the next phase.
    Input,
    /// A moment, or input.
    Until(Moment),
    /// Nothing: it is done once its output has been written.
    Nothing,
}

/// One side of a conversation.
pub trait Peer {
    /// Writes what is to be sent now, up to about [`OUTPUT`] octets.
    fn fill(&mut self, now: Moment, phase: Phase, out: &mut Vec<u8>) -> Wait;

    /// Takes what the broker has sent: how many octets of it. What is left comes again with more.
    fn take(&mut self, now: Moment, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Error>;
}

/// Runs a peer until it is done.
pub async fn drive(
    socket: &mut Socket,
    peer: &mut (dyn Peer + Send),
    clock: Clock,
    phase: &mut watch::Receiver<Phase>,
) -> Result<(), Error> {
    let timer = Timer::new(clock)?;
    let (mut out, mut written) = (Vec::new(), 0);
    loop {
        let current = *phase.borrow_and_update();
        let mut wait = Wait::Room;
        if out.len() < OUTPUT {
            wait = peer.fill(clock.now(), current, &mut out);
        }
        written += socket.try_send(&out[written..])?;
        if written == out.len() {
            out.clear();
            written = 0;
            if wait == Wait::Nothing {
                return Ok(());
            }
        }
        if wait == Wait::Room && out.is_empty() {
            tokio::task::yield_now().await;
        } else {
            tokio::select! {
                ready = socket.ready(!out.is_empty()) => ready?,
                waited = until(&timer, wait) => waited?,
                changed = phase.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        // Whoever reads nothing while much is to be written lets the broker wait, not its memory grow.
        if out.len() < OUTPUT * 8 && socket.try_receive()? {
            let taken = peer.take(clock.now(), socket.unread(), &mut out)?;
            socket.consume(taken);
        }
    }
}

async fn until(timer: &Timer, wait: Wait) -> Result<(), Error> {
    match wait {
        Wait::Until(moment) => Ok(timer.until(moment).await?),
        _ => std::future::pending().await,
    }
}
