//! A consumer: how it wants to be served, and what room it has left.
//!
//! It is served while it has room in two measures: messages that wait for settlement
//! (prefetch, MQTT Receive Maximum), given back by settling, and bytes on their way to the socket
//! (the window), given back when they were written. So a slow consumer never fills memory. Both may
//! have a limit over several consumers as well (`shared`).

use std::sync::Arc;

use super::roster::Turn;
use super::shared::{SharedPrefetch, SharedWindow};
use crate::ConsumerId;

/// How a consumer wants to be served.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Deliveries need no settlement (AMQP `no_ack`).
    pub no_ack: bool,
    /// No other consumer may be on the queue.
    pub exclusive: bool,
    /// Those with the greatest priority are served first, as long as one of them has room.
    pub priority: i32,
    /// How many deliveries may wait for settlement; 0 is unlimited.
    pub prefetch: u32,
    /// A limit shared with other consumers (AMQP `basic.qos` with `global`).
    pub shared: Option<Arc<SharedPrefetch>>,
    /// How many bytes may be on their way to the socket.
    pub window_bytes: usize,
    /// A window over all consumers of a connection, beside its own.
    pub shared_window: Option<Arc<SharedWindow>>,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub id: ConsumerId,
    pub turn: Turn,
    pub options: ConsumerOptions,
    used: u32,
    window_bytes_left: i64,
    /// It has asked to be called up once the window that it shares has room. Until then it has none.
    is_stalled: bool,
}

impl Consumer {
    pub fn new(id: ConsumerId, turn: Turn, options: ConsumerOptions) -> Self {
        let window_bytes_left = options.window_bytes as i64;
        Consumer { id, turn, options, used: 0, window_bytes_left, is_stalled: false }
    }

    /// Whether an entry can be handed to it.
    pub fn has_room(&self, needs_settlement: bool) -> bool {
        let shared = self.options.shared_window.as_ref();
        shared.is_none_or(|window| window.has_room())
            && self.has_room_but_for_window(needs_settlement)
    }

    fn has_room_but_for_window(&self, needs_settlement: bool) -> bool {
        let [unsettled, settled] = self.own_room();
        if self.options.no_ack || !needs_settlement {
            return unsettled;
        }
        settled && self.options.shared.as_ref().is_none_or(|shared| shared.has_room())
    }

    /// Whether it has room by itself for an entry that needs no settlement, and for one that does.
    pub fn own_room(&self) -> [bool; 2] {
        let window = self.window_bytes_left > 0 && !self.is_stalled;
        let ConsumerOptions { no_ack, prefetch, .. } = self.options;
        [window, window && (no_ack || prefetch == 0 || self.used < prefetch)]
    }

    /// An entry is handed to it.
    pub fn take(&mut self, size_bytes: usize, needs_settlement: bool) {
        self.window_bytes_left -= size_bytes as i64;
        if let Some(window) = &self.options.shared_window {
            window.take(size_bytes);
        }
        if needs_settlement && !self.options.no_ack {
            self.used += 1;
            if let Some(shared) = &self.options.shared {
                shared.take();
            }
        }
    }

    /// Whether it lacks nothing but room in the window that it shares, once nobody has been found who
    /// can be served.
    pub fn lacks_window(&self, needs_settlement: bool) -> bool {
        self.options.shared_window.is_some() && self.has_room_but_for_window(needs_settlement)
    }

    /// It has asked for room in the window that it shares.
    pub fn stall(&mut self) {
        self.is_stalled = true;
    }

    /// The window that it has asked for may have room.
    pub fn call_up(&mut self) {
        self.is_stalled = false;
    }

    /// Window bytes are back: they were written to the socket.
    pub fn written(&mut self, bytes: usize) {
        self.window_bytes_left += bytes as i64;
    }

    /// The place of an entry is back, which was settled.
    pub fn settled(&mut self) {
        self.used = self.used.saturating_sub(1);
    }
}

/// Who holds an entry that waits for settlement. The shared limit is kept here as well, because a
/// consumer may be cancelled before its entries are settled.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub consumer: ConsumerId,
    pub shared: Option<Arc<SharedPrefetch>>,
    /// It takes a place of the consumer's prefetch: it was handed out to it.
    pub counted: bool,
    /// When it was handed out.
    pub since_ms: u64,
}

impl Holder {
    /// Somebody who holds an entry that no prefetch counts.
    pub fn uncounted(consumer: ConsumerId, since_ms: u64) -> Self {
        Holder { consumer, shared: None, counted: false, since_ms }
    }
}
