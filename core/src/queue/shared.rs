//! Limits over several consumers, which may be on queues of different shards.
//!
//! Whoever gives something back has to pump the queues of those that found it used up. Of a window
//! they ask for that themselves ([`Effects::stalled`]), so that they get it in turn; of a prefetch
//! it is known that there are some ([`SharedPrefetch::take_shortage`]).
//!
//! [`Effects::stalled`]: super::Effects::stalled

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

/// A prefetch limit over all consumers of an AMQP channel, whatever their shards.
#[derive(Debug, Default)]
pub struct SharedPrefetch {
    limit: AtomicU32,
    used: AtomicU32,
    /// Somebody has found no room.
    is_short: AtomicBool,
}

impl SharedPrefetch {
    /// Changes the limit; 0 is unlimited. Consumers that may go on have to be woken.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// The limit; 0 is unlimited.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether somebody has found no room since this was asked last. To be asked after something was
    /// given back; if so, the consumers that share the limit have to be woken.
    pub fn take_shortage(&self) -> bool {
        self.is_short.load(Ordering::SeqCst) && self.is_short.swap(false, Ordering::SeqCst)
    }

    pub(super) fn has_room(&self) -> bool {
        if self.is_below_limit() {
            return true;
        }
        // What is given back meanwhile is seen here, or else the shortage by who gives it back.
        self.is_short.store(true, Ordering::SeqCst);
        self.is_below_limit()
    }

    fn is_below_limit(&self) -> bool {
        let limit = self.limit();
        limit == 0 || self.used.load(Ordering::SeqCst) < limit
    }

    pub(super) fn take(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self) {
        self.used.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A limit of bytes on their way to one connection, over all of its consumers, whatever their shards.
/// The last message that is taken may go beyond it.
#[derive(Debug)]
pub struct SharedWindow {
    bytes_left: AtomicI64,
}

impl SharedWindow {
    /// A window of so many bytes.
    pub fn new(bytes: usize) -> Self {
        SharedWindow { bytes_left: AtomicI64::new(bytes as i64) }
    }

    /// Whether consumers may be served.
    pub fn has_room(&self) -> bool {
        self.bytes_left.load(Ordering::Relaxed) > 0
    }

    /// Gives back bytes that were written to the socket, or never will be. Consumers that have stalled
    /// may go on.
    pub fn give_back(&self, bytes: usize) {
        self.bytes_left.fetch_add(bytes as i64, Ordering::Relaxed);
    }

    pub(super) fn take(&self, bytes: usize) {
        self.bytes_left.fetch_sub(bytes as i64, Ordering::Relaxed);
    }
}
