//! What the rest of the node has for a connection: deliveries and notices.
//!
//! Shards put deliveries in, the connection's task takes all of them at once. A consumer's window
//! bounds how much can be in here, so nothing has to wait to put something in. The lock is a leaf:
//! whoever holds it takes no other.

use std::sync::Mutex;
use std::task::{Context, Waker};

use leveret_core::{ConsumerId, Delivery, QueueId};

/// The outbox of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    mail: Mail,
    woken: bool,
    waker: Option<Waker>,
}

/// What was in an outbox.
#[derive(Debug, Default)]
pub struct Mail {
    /// Messages for its consumers, in the order of each queue.
    pub deliveries: Vec<Delivery>,
    /// Everything else.
    pub notices: Vec<Notice>,
}

/// News for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A consumer lost its queue.
    Cancelled(QueueId, ConsumerId),
    /// A consumer holds a message for longer than its queue allows: so many milliseconds.
    Overdue(ConsumerId, u64),
    /// A consumer waits for room in the window of its connection.
    Stalled(ConsumerId),
    /// Retained messages are due to the session, that whoever held it before has not brought.
    RetainedDue,
    /// The connection has to end.
    Close(CloseReason),
}

/// Why the broker ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The broker stops.
    Shutdown,
    /// An operator said so, with these words.
    Operator(String),
    /// Another connection took the MQTT session over.
    TakenOver,
}

impl Outbox {
    /// Adds deliveries.
    pub fn deliver(&self, deliveries: impl Iterator<Item = Delivery>) {
        self.with(|mail| mail.deliveries.extend(deliveries));
    }

    /// Adds a notice.
    pub fn notify(&self, notice: Notice) {
        self.with(|mail| mail.notices.push(notice));
    }

    /// Wakes the connection's task for something that is not in the outbox.
    pub fn wake(&self) {
        self.with(|_| {});
    }

    /// Exchanges the mail that is there with `empty`. If there is none, `context` will be woken once
    /// there is. Says whether there was mail or a wake.
    pub fn take(&self, empty: &mut Mail, context: Option<&Context<'_>>) -> bool {
        let mut inner = self.lock();
        let woken = std::mem::take(&mut inner.woken);
        if woken {
            std::mem::swap(&mut inner.mail, empty);
        } else if let Some(context) = context {
            match &mut inner.waker {
                Some(waker) => waker.clone_from(context.waker()),
                waker => *waker = Some(context.waker().clone()),
            }
        }
        woken
    }

    fn with(&self, put: impl FnOnce(&mut Mail)) {
        let waker = {
            let mut inner = self.lock();
            put(&mut inner.mail);
            if std::mem::replace(&mut inner.woken, true) { None } else { inner.waker.take() }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds an outbox")
    }
}
