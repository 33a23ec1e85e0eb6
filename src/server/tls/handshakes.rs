//! The places for handshakes on a port: how many may go on at a time, each with up to 64 KiB of a message
//! in memory.
//!
//! When all places are taken and somebody waits, the handshake that has gone on longest has to end, if it
//! has had a while. So clients that connect and stay silent hold nobody up for long, wherever they come
//! from, and many who come at once and mean it only wait for each other.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::server::limits::Limit;
use crate::server::{Node, clock};

/// See the module's documentation.
pub struct Handshakes {
    node: Arc<Node>,
    permits: Arc<Semaphore>,
    /// Those that go on, by when they began.
    going_on: Mutex<BTreeMap<(Instant, u64), oneshot::Sender<()>>>,
}

/// A place for one handshake, until it is dropped.
pub struct Place {
    handshakes: Arc<Handshakes>,
    key: (Instant, u64),
    lost: oneshot::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Handshakes {
    /// As many places as the configuration says.
    pub fn new(node: Arc<Node>) -> Self {
        let permits = Arc::new(Semaphore::new(node.config.tls_handshakes_max.max(1) as usize));
        Handshakes { node, permits, going_on: Mutex::default() }
    }

    /// Waits for a place; there is none any more once they are closed.
    ///
    /// # Cancel safety
    /// No place is lost.
    pub async fn take_place(self: Arc<Self>) -> Option<Place> {
        let permit = loop {
            let free = self.permits.clone().acquire_owned();
            match tokio::time::timeout(self.time_of_oldest(), free).await {
                Ok(permit) => break permit.ok()?,
                Err(_) => self.end_oldest(),
            }
        };
        let (keep, lost) = oneshot::channel();
        let mut going_on = self.lock();
        let now = clock::now();
        let last = going_on.last_key_value().map_or(0, |(&(_, number), _)| number);
        let key = (now, last + 1);
        going_on.insert(key, keep);
        drop(going_on);
        Some(Place { handshakes: self, key, lost, _permit: permit })
    }

    /// Nobody gets a place any more.
    pub fn close(&self) {
        self.permits.close();
    }

    /// How long the oldest may go on while somebody waits.
    fn time_of_oldest(&self) -> Duration {
        let going_on = self.lock();
        let oldest = going_on.first_key_value().map(|(&(began, _), _)| began);
        let had = oldest.map_or(Duration::ZERO, |began| clock::now().duration_since(began));
        // One that was just told to go gives its place back in a moment.
        A_WHILE.saturating_sub(had).max(A_MOMENT)
    }

    fn end_oldest(&self) {
        let mut going_on = self.lock();
        let is_due = |began: Instant| clock::now().duration_since(began) >= A_WHILE;
        if let Some(oldest) = going_on.first_entry().filter(|oldest| is_due(oldest.key().0)) {
            // If it is over already, so much the better.
            _ = oldest.remove().send(());
            self.node.refusals.note(Limit::TlsHandshakes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Instant, u64), oneshot::Sender<()>>> {
        self.going_on.lock().expect("nothing panics while it holds the list")
    }
}

impl Place {
    /// Waits until the place is given to another.
    pub async fn lost(&mut self) {
        if (&mut self.lost).await.is_err() {
            // Nobody else removes it from the list before it is dropped.
            std::future::pending().await
        }
    }

    /// Whether clients are not let in any more.
    pub fn is_closed(&self) -> bool {
        self.handshakes.permits.is_closed()
    }

    /// The handshake took longer than it may.
    pub fn out_of_time(&self) -> io::Error {
        self.handshakes.node.refusals.note(Limit::HandshakeTime);
        ErrorKind::TimedOut.into()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.lock().remove(&self.key);
    }
}

/// What a handshake has in any case, even if others wait.
const A_WHILE: Duration = Duration::from_secs(2);
/// Between two looks whether a place is free.
const A_MOMENT: Duration = Duration::from_millis(5);
