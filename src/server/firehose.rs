//! The firehose: while a virtual host is traced, whatever its clients publish and get goes, as a copy,
//! to an exchange of its own. It is for looking on, and so it is not kept over a restart.
//!
//! A copy is published at once by whoever publishes or delivers, and no lock is held then. Copies of
//! copies are not made.
//!
//! Onlookers see what is published in the same place, each by itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::{Delivery, Message};

use super::Node;
use super::connections::Peer;
use super::frontend::amqp::copy;
use super::onlooker::Onlooker;
use super::routed::Routed;

/// The exchange that copies go to, in the virtual host that is traced.
pub const EXCHANGE: &str = "amq.rabbitmq.trace";

/// Which virtual hosts are traced.
#[derive(Debug, Default)]
pub struct Firehose {
    /// Whether any is, or somebody looks on: this is all that a message costs if not.
    is_on: AtomicBool,
    /// Whether any virtual host is traced.
    is_tracing: AtomicBool,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    traced: BTreeSet<Arc<str>>,
    onlookers: Vec<Arc<Onlooker>>,
}

/// Who publishes or gets a message.
#[derive(Debug)]
pub struct Party {
    /// The virtual host.
    pub vhost: Arc<str>,
    /// The user.
    pub user: Arc<str>,
    /// The name of the connection.
    pub connection: String,
    /// The channel; 0 where there is no such thing.
    pub channel: u16,
}

/// What is copied.
#[derive(Debug, Clone, Copy)]
pub enum Tap<'a> {
    /// A message that a client publishes, and where it goes.
    Publish(&'a Arc<Message>, &'a Routed),
    /// A message that a client gets.
    Deliver(&'a Delivery),
}

impl Firehose {
    /// Whether any virtual host is traced, or somebody looks on.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Whether a virtual host is traced.
    pub fn traces(&self, vhost: &str) -> bool {
        self.is_tracing.load(Ordering::Relaxed) && self.lock().traced.contains(vhost)
    }

    /// Begins or ends to trace a virtual host.
    pub fn set(&self, vhost: &Arc<str>, is_traced: bool) {
        let mut watched = self.lock();
        match is_traced {
            true => watched.traced.insert(vhost.clone()),
            false => watched.traced.remove(vhost),
        };
        self.note(&watched);
    }

    /// Shows an onlooker what is published from now on.
    pub fn look_on(&self, onlooker: &Arc<Onlooker>) {
        let mut watched = self.lock();
        watched.onlookers.push(onlooker.clone());
        self.note(&watched);
    }

    /// Shows an onlooker nothing any more.
    pub fn look_away(&self, onlooker: &Arc<Onlooker>) {
        let mut watched = self.lock();
        watched.onlookers.retain(|known| !Arc::ptr_eq(known, onlooker));
        self.note(&watched);
    }

    /// Shows onlookers what is published.
    #[inline]
    pub fn show(&self, vhost: &str, message: &Arc<Message>) {
        if self.is_on() {
            self.lock().onlookers.iter().for_each(|onlooker| onlooker.show(vhost, message));
        }
    }

    fn note(&self, watched: &Watched) {
        let is_tracing = !watched.traced.is_empty();
        self.is_tracing.store(is_tracing, Ordering::Relaxed);
        self.is_on.store(is_tracing || !watched.onlookers.is_empty(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().expect("nothing panics while it holds the list")
    }
}

impl<'a> Tap<'a> {
    /// The message that is copied.
    pub fn message(self) -> &'a Message {
        match self {
            Tap::Publish(message, _) => message,
            Tap::Deliver(delivery) => &delivery.message,
        }
    }
}

impl Node {
    /// Copies what a client publishes or gets, if it is traced.
    #[inline]
    pub fn tap(&self, peer: &Peer, channel: u16, tap: Tap<'_>) {
        if self.firehose.is_on() {
            self.tap_peer(peer, channel, tap);
        }
    }

    #[cold]
    fn tap_peer(&self, peer: &Peer, channel: u16, tap: Tap<'_>) {
        let is_copied = self.firehose.is_tracing.load(Ordering::Relaxed);
        if !is_copied && matches!(tap, Tap::Deliver(_)) {
            return;
        }
        let Some(login) = peer.login() else { return };
        let (vhost, user, connection) = (login.vhost, login.user, peer.name());
        self.tap_as(&Party { vhost, user, connection, channel }, tap);
    }

    /// As [`Node::tap`], for whoever has no connection.
    pub fn tap_as(&self, party: &Party, tap: Tap<'_>) {
        if let Tap::Publish(message, _) = tap {
            self.firehose.show(&party.vhost, message);
        }
        if !self.firehose.traces(&party.vhost) || tap.message().exchange() == EXCHANGE {
            return;
        }
        let Some((key, queues)) = self.names_of(tap) else { return };
        let copy = copy::of(tap, party, (key, queues), self.config.amqp_frame_max);
        self.publish_within(&party.vhost, copy);
    }

    /// The routing key of a copy, and the names of the queues that a publish goes to. A queue that is
    /// gone has none.
    fn names_of(&self, tap: Tap<'_>) -> Option<(String, Vec<Arc<str>>)> {
        let topology = self.topology();
        let name = |id| topology.queue_by_id(id).map(|queue| queue.name.clone());
        Some(match tap {
            Tap::Publish(message, routed) => {
                let targets = routed.parts().flat_map(|(_, targets)| targets);
                let queues = targets.filter_map(|target| name(target.queue)).collect();
                (format!("publish.{}", message.exchange()), queues)
            }
            Tap::Deliver(delivery) => (format!("deliver.{}", name(delivery.queue)?), Vec::new()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_traced_is_and_it_is_off_when_nothing_is() {
        let firehose = Firehose::default();
        let [a, b]: [Arc<str>; 2] = ["a".into(), "b".into()];
        assert!(!firehose.is_on() && !firehose.traces("a"));
        firehose.set(&a, true);
        firehose.set(&b, true);
        firehose.set(&a, false);
        assert!(firehose.is_on() && firehose.traces("b") && !firehose.traces("a"));
        firehose.set(&b, false);
        assert!(!firehose.is_on());
    }
}
