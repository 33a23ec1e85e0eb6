//! The connections of a node: who they are, and how to reach them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::{ConnectionId, QueueId, Table, Value};

use super::address::{Address, Link};
use super::clock;
use super::connection::Traffic;
use super::counts::{ByDialect, Counts, Dialect, Past};
use super::outbox::{CloseReason, Notice, Outbox};
use super::usage::LimitReached;
use super::visitors::{VisitorLimits, Visitors};

/// The node's list of connections.
#[derive(Debug, Default)]
pub struct Connections {
    list: Mutex<BTreeMap<ConnectionId, Arc<Peer>>>,
    /// How many on the list are surplus; changes with the list.
    surplus: AtomicUsize,
    visitors: Visitors,
    next: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    /// Locked before the list.
    past: Past,
    /// Bytes of connections that are no longer on the list; change with it.
    closed_received_bytes: AtomicU64,
    closed_sent_bytes: AtomicU64,
}

/// A connection as the rest of the node sees it.
#[derive(Debug)]
pub struct Peer {
    /// Its identity.
    pub id: ConnectionId,
    /// Where it is and how it has come.
    pub link: Link,
    /// When it connected, in milliseconds since the Unix epoch.
    pub connected_at_ms: u64,
    /// What others have for it.
    pub outbox: Arc<Outbox>,
    /// The bytes that went over it.
    pub traffic: Traffic,
    /// What it said of itself, once it has logged in.
    pub login: Mutex<Option<Login>>,
    activity: Mutex<Activity>,
    /// Why it is one too many, if it is: it is heard only until it can be told so.
    pub surplus: Option<Box<LimitReached>>,
    /// Whether it counts among the connections of its address.
    is_visitor: bool,
    is_blocked: AtomicBool,
}

/// A client that has logged in.
#[derive(Debug, Clone)]
pub struct Login {
    /// What it speaks.
    pub protocol: Dialect,
    /// The user.
    pub user: Arc<str>,
    /// The vhost.
    pub vhost: Arc<str>,
    /// The name that the client gave itself: AMQP `connection_name`, MQTT client identifier.
    pub client_name: Option<Arc<str>>,
    /// What else it said of itself.
    pub introduction: Introduction,
    /// The largest frame, in bytes; 0 where there is no such thing.
    pub frame_max: u32,
    /// The highest channel number; 0 where there is no such thing.
    pub channel_max: u16,
    /// Heartbeat or keep alive, in seconds.
    pub heartbeat: u16,
    /// How it logged in.
    pub mechanism: &'static str,
}

/// What a client says of itself beside its name.
#[derive(Debug, Clone)]
pub enum Introduction {
    /// AMQP: the client properties.
    Properties(Table),
    /// MQTT: whether it asked for a new session.
    CleanStart(bool),
}

/// What a connection does, for management; written by its frontend.
#[derive(Debug, Default)]
pub struct Activity {
    /// Its channels.
    pub channels: BTreeMap<u16, ChannelFacts>,
    /// Its consumers on these channels.
    pub consumers: Vec<Arc<ConsumerFacts>>,
    /// What it has done beside what these channels have: on channels that are closed, or without any.
    /// In a box because many connections do nothing.
    pub beside: Option<Box<Counts>>,
}

/// What management shows of a consumer.
#[derive(Debug)]
pub struct ConsumerFacts {
    /// The number that the core knows it by.
    pub number: u64,
    /// Its tag.
    pub tag: Box<str>,
    /// The channel.
    pub channel: u16,
    /// The queue.
    pub queue: QueueId,
    /// What it was asked for with.
    pub arguments: Table,
}

/// What management shows of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelFacts {
    /// Consumers.
    pub consumers: usize,
    /// Deliveries that wait for settlement.
    pub unacked: usize,
    /// Publishes that wait for their confirm.
    pub unconfirmed: usize,
    /// Publishes that wait for a commit.
    pub uncommitted: usize,
    /// Settlements that wait for a commit.
    pub acks_uncommitted: usize,
    /// Whether publishes are confirmed.
    pub confirm: bool,
    /// Whether it is transactional.
    pub transactional: bool,
    /// The limit for consumers that start from now on.
    pub prefetch: u16,
    /// The limit over all consumers.
    pub global_prefetch: u16,
    /// What went over it, if anything did.
    pub counts: Option<Box<Counts>>,
}

impl Connections {
    /// Adds a connection. If there are as many already as there may be it is surplus.
    ///
    /// # Errors
    /// If there are many of those: it is not added.
    pub fn add(
        &self,
        link: Link,
        max: u64,
        of_address: VisitorLimits,
    ) -> Result<Arc<Peer>, LimitReached> {
        let now_ms = clock::now_ms();
        let is_visitor =
            of_address.are_set() && matches!(link.peer, Address::Ip(_) | Address::Relayed(_));
        let welcome = match is_visitor {
            true => self.visitors.arrive(link.peer.ip(), of_address, now_ms / 1000),
            false => Ok(()),
        };
        let mut list = self.lock();
        let surplus_len = self.surplus.load(Ordering::Relaxed);
        let is_full = (list.len() - surplus_len) as u64 >= max;
        let surplus = match is_full {
            true => Some(LimitReached::NodeConnections { max }),
            false => welcome.err(),
        };
        if let Some(reached) = surplus.clone().filter(|_| surplus_len >= SURPLUS_MAX) {
            if is_visitor {
                self.visitors.leave(link.peer.ip());
            }
            return Err(reached);
        }
        let peer = Arc::new(Peer {
            id: self.next_id(),
            link,
            connected_at_ms: now_ms,
            outbox: Arc::default(),
            traffic: Traffic::default(),
            login: Mutex::default(),
            activity: Mutex::default(),
            surplus: surplus.map(Box::new),
            is_visitor,
            is_blocked: AtomicBool::new(false),
        });
        self.surplus.fetch_add(usize::from(peer.surplus.is_some()), Ordering::Relaxed);
        list.insert(peer.id, peer.clone());
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(peer)
    }

    /// The identity of a connection that is not on the list: one within this program.
    pub fn next_id(&self) -> ConnectionId {
        ConnectionId(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Takes a connection off the list.
    pub fn remove(&self, id: ConnectionId) {
        let mut past = self.past.lock();
        let mut list = self.lock();
        if let Some(peer) = list.remove(&id) {
            if let Some(dialect) = peer.dialect() {
                *past.of_mut(dialect) += peer.counts();
            }
            self.surplus.fetch_sub(usize::from(peer.surplus.is_some()), Ordering::Relaxed);
            if peer.is_visitor {
                self.visitors.leave(peer.link.peer.ip());
            }
            self.closed.fetch_add(1, Ordering::Relaxed);
            let (received, sent) = peer.traffic.totals();
            self.closed_received_bytes.fetch_add(received, Ordering::Relaxed);
            self.closed_sent_bytes.fetch_add(sent, Ordering::Relaxed);
        }
    }

    /// All connections, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.lock().values().cloned().collect()
    }

    /// A connection that is on the list.
    pub fn find(&self, id: ConnectionId) -> Option<Arc<Peer>> {
        self.lock().get(&id).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Connections ever opened and ever closed.
    pub fn churn(&self) -> (u64, u64) {
        (self.opened.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed))
    }

    /// What all clients have published and were sent, those included that are gone or have no
    /// connection.
    pub fn counts(&self) -> ByDialect {
        // Those that leave meanwhile are still looked at, and nobody has to wait to leave.
        let (mut counts, peers) = {
            let past = self.past.lock();
            (*past, self.all())
        };
        for peer in peers {
            if let Some(dialect) = peer.dialect() {
                *counts.of_mut(dialect) += peer.counts();
            }
        }
        counts
    }

    /// Counts what a client does that has no connection.
    pub fn count_for(&self, dialect: Dialect, note: impl FnOnce(&mut Counts)) {
        note(self.past.lock().of_mut(dialect));
    }

    /// Bytes ever received from clients, and ever sent to them.
    pub fn bytes(&self) -> (u64, u64) {
        let list = self.lock();
        let closed = (&self.closed_received_bytes, &self.closed_sent_bytes);
        let closed = (closed.0.load(Ordering::Relaxed), closed.1.load(Ordering::Relaxed));
        list.values()
            .map(|peer| peer.traffic.totals())
            .fold(closed, |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Asks all connections to end.
    pub fn close_all(&self, reason: &CloseReason) {
        for peer in self.all() {
            peer.outbox.notify(Notice::Close(reason.clone()));
        }
    }

    /// Asks the connections of some clients to end, for a reason that they are told.
    pub fn close_where(&self, reason: &str, is_one: impl Fn(&Login) -> bool) {
        for peer in self.all() {
            if peer.login().is_some_and(|login| is_one(&login)) {
                peer.outbox.notify(Notice::Close(CloseReason::Operator(reason.into())));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ConnectionId, Arc<Peer>>> {
        self.list.lock().expect("nothing panics while it holds the connections")
    }
}

impl Login {
    /// AMQP client properties, or what comes closest.
    pub fn properties(&self) -> Cow<'_, Table> {
        let clean_start = match &self.introduction {
            Introduction::Properties(properties) => return Cow::Borrowed(properties),
            Introduction::CleanStart(clean_start) => *clean_start,
        };
        let properties = [
            ("client_id", Value::from(self.client_name.as_deref().unwrap_or_default())),
            ("product", Value::from("MQTT client")),
            ("clean_start", Value::Bool(clean_start)),
        ];
        Cow::Owned(properties.into_iter().collect())
    }
}

/// Connections over the limit that may wait for their refusal at a time.
const SURPLUS_MAX: usize = 64;

impl Peer {
    /// The name that RabbitMQ's management gives it.
    pub fn name(&self) -> String {
        self.link.to_string()
    }

    /// Whether the client is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.link.peer.ip().is_loopback()
    }

    /// What it speaks, as RabbitMQ's management shows it: `MQTT 5-0`, `Web MQTT 5-0`.
    pub fn protocol(&self, login: &Login) -> String {
        format!("{}{}", if self.link.is_web { "Web " } else { "" }, login.protocol.name())
    }

    /// What the client said of itself.
    pub fn login(&self) -> Option<Login> {
        self.login.lock().expect("nothing panics while it holds a login").clone()
    }

    /// Notes what the client said of itself.
    pub fn set_login(&self, login: Login) {
        *self.login.lock().expect("nothing panics while it holds a login") = Some(login);
    }

    /// Whether it has published during an alarm: it is not read from before that is over.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// Notes that it is blocked, or no longer; for its frontend.
    pub fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// What it speaks, once it has logged in.
    pub fn dialect(&self) -> Option<Dialect> {
        let login = self.login.lock().expect("nothing panics while it holds a login");
        login.as_ref().map(|login| login.protocol)
    }

    /// What it does.
    pub fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().expect("nothing panics while it holds the activity")
    }

    /// What it has published and was sent.
    pub fn counts(&self) -> Counts {
        let activity = self.activity();
        let channels = activity.channels.values().map(|channel| &channel.counts);
        let mut counts = Counts::default();
        channels.chain([&activity.beside]).flatten().for_each(|more| counts += **more);
        counts
    }
}
