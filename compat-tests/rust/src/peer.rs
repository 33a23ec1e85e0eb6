//! A client as the tests speak to it, in either version of MQTT. Every wait has a deadline.

use std::collections::VecDeque;
use std::time::Duration;

use crate::broker::Broker;

/// How long a client waits for its next event.
pub const EVENT_MAX: Duration = Duration::from_secs(10);

/// What rumqttc tells: what has come, and that a QoS 0 message has gone.
#[derive(Debug)]
pub enum Event {
    /// CONNACK, and whether there was a session.
    Connected(bool),
    /// PUBLISH.
    Message(Message),
    /// The end of the handshake of a message that was published.
    Published,
    /// SUBACK with the granted QoS, or `None` where it was refused.
    Subscribed(Vec<Option<u8>>),
    /// UNSUBACK.
    Unsubscribed,
    /// What the tests do not ask for.
    Other,
}

/// A message that has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
}

/// What a client says when it connects.
#[derive(Default)]
pub struct Setup<'a> {
    pub client_id: &'a str,
    /// Ask for a session that outlives the connection.
    pub keep: bool,
    /// Topic and payload of a will with QoS 1.
    pub will: Option<(&'a str, &'a str)>,
    pub login: Option<(&'a str, &'a str)>,
}

/// One of rumqttc's interfaces. Requests are queued; `next` sends them and gives what comes.
pub trait Wire: Sized {
    /// A client that has not connected yet.
    fn new(port: u16, setup: &Setup) -> Self;
    /// PUBLISH.
    fn publish(&self, topic: &str, qos: u8, retain: bool, payload: &str);
    /// SUBSCRIBE.
    fn subscribe(&self, filter: &str, qos: u8);
    /// UNSUBSCRIBE.
    fn unsubscribe(&self, filter: &str);
    /// DISCONNECT.
    fn disconnect(&self);
    /// The next event; an error is the end of a connection, after which `next` connects again.
    fn next(&mut self) -> Result<Event, String>;
}

/// A connected client. Dropping it closes its socket without a DISCONNECT.
pub struct Peer<W> {
    pub wire: W,
    /// Whether the broker had a session of it.
    pub present: bool,
    inbox: VecDeque<Message>,
    published: usize,
}

impl<W: Wire> Peer<W> {
    /// Connects with a clean session.
    pub fn connect(broker: &Broker, client_id: &str) -> Self {
        Self::open(broker, &Setup { client_id, ..Setup::default() }).expect("CONNACK with code 0")
    }

    /// Connects with a session that outlives the connection.
    pub fn resume(broker: &Broker, client_id: &str) -> Self {
        Self::open(broker, &Setup { client_id, keep: true, ..Setup::default() })
            .expect("CONNACK with code 0")
    }

    /// Connects, or tells why it was refused.
    pub fn open(broker: &Broker, setup: &Setup) -> Result<Self, String> {
        let mut wire = W::new(broker.mqtt(), setup);
        match wire.next()? {
            Event::Connected(present) => {
                Ok(Self { wire, present, inbox: VecDeque::new(), published: 0 })
            }
            other => Err(format!("{other:?} where CONNACK is due")),
        }
    }

    /// Publishes, and waits until the handshake of the QoS is complete.
    pub fn publish(&mut self, topic: &str, qos: u8, payload: &str) {
        self.wire.publish(topic, qos, false, payload);
        self.acknowledged(1);
    }

    /// The same with RETAIN.
    pub fn retain(&mut self, topic: &str, payload: &str) {
        self.wire.publish(topic, 1, true, payload);
        self.acknowledged(1);
    }

    /// Waits for the end of this many handshakes of messages that were published.
    pub fn acknowledged(&mut self, count: usize) {
        while self.published < count {
            self.step();
        }
        self.published -= count;
    }

    /// Subscribes: the granted QoS.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> Option<u8> {
        self.wire.subscribe(filter, qos);
        self.wait(|event| match event {
            Event::Subscribed(granted) => Some(granted[0]),
            _ => None,
        })
    }

    /// Unsubscribes.
    pub fn unsubscribe(&mut self, filter: &str) {
        self.wire.unsubscribe(filter);
        self.wait(|event| matches!(event, Event::Unsubscribed).then_some(()));
    }

    /// The next message.
    pub fn receive(&mut self) -> Message {
        while self.inbox.is_empty() {
            self.step();
        }
        self.inbox.pop_front().expect("it is not empty")
    }

    /// The payloads of the next messages.
    pub fn payloads(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.receive().payload).collect()
    }

    /// DISCONNECT, and the end of the socket.
    pub fn disconnect(mut self) {
        self.wire.disconnect();
        while self.wire.next().is_ok() {}
    }

    /// Handles events until one is as wanted; the others are kept for their turn.
    pub fn wait<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let event = self.wire.next().expect("the connection lasts");
            if let Some(found) = wanted(&event) {
                return found;
            }
            self.keep(event);
        }
    }

    /// Handles events until the connection has ended and there is a new one.
    pub fn reconnect(&mut self) {
        loop {
            match self.wire.next() {
                Ok(Event::Connected(present)) => {
                    self.present = present;
                    return;
                }
                Ok(event) => self.keep(event),
                Err(_) => {}
            }
        }
    }

    fn step(&mut self) {
        let event = self.wire.next().expect("the connection lasts");
        self.keep(event);
    }

    fn keep(&mut self, event: Event) {
        match event {
            Event::Message(message) => self.inbox.push_back(message),
            Event::Published => self.published += 1,
            _ => {}
        }
    }
}
