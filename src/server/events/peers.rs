//! What connections do, as events, and alarms.

use leveret_core::Value;

use super::Event;
use crate::server::Node;
use crate::server::alarms::State;
use crate::server::audit::LoginAttempt;
use crate::server::connections::{Login, Peer};
use crate::server::host::node_name;

/// A consumer that comes or goes.
#[derive(Debug)]
pub struct ConsumerFacts<'a> {
    /// Its tag.
    pub tag: &'a str,
    /// The channel.
    pub channel: u16,
    /// The queue; `None` if it is gone.
    pub queue: Option<&'a str>,
    /// What is known of one that comes.
    pub more: Vec<(&'a str, Value)>,
}

impl Node {
    /// A client has logged in, or was refused.
    pub fn announce_login(&self, peer: &Peer, attempt: LoginAttempt<'_>) {
        let LoginAttempt { user, dialect, is_user, .. } = attempt;
        self.logins.note(dialect, is_user);
        self.audit_login(peer, attempt);
        if !self.events.are_on() {
            return;
        }
        let key = match is_user {
            true => "user.authentication.success",
            false => "user.authentication.failure",
        };
        let about = [("name", user.into()), ("protocol", dialect.name().into())];
        let error = (!is_user).then(|| ("error", "invalid credentials".into()));
        self.events.add([Event::new(key, about.into_iter().chain(address(peer)).chain(error))]);
    }

    /// A client is in its virtual host.
    pub fn announce_connection(&self, peer: &Peer) {
        let is_of_interest = self.events.are_on() || self.is_audited();
        let Some(login) = is_of_interest.then(|| peer.login()).flatten() else { return };
        self.audit_entry(peer, (&login.user, &login.vhost), None);
        if !self.events.are_on() {
            return;
        }
        let name = login.client_name.iter().map(|name| ("client_name", text(name)));
        let Login { frame_max, channel_max, heartbeat, .. } = login;
        let about = [
            ("user", text(&login.user)),
            ("vhost", text(&login.vhost)),
            ("protocol", text(&peer.protocol(&login))),
            ("auth_mechanism", text(login.mechanism)),
            ("timeout", i64::from(heartbeat).into()),
            ("frame_max", i64::from(frame_max).into()),
            ("channel_max", i64::from(channel_max).into()),
            ("client_properties", Value::Table(login.properties().into_owned())),
            ("connected_at", (peer.connected_at_ms as i64).into()),
            ("node", text(node_name())),
        ];
        let named = [("name", text(&peer.name()))];
        let about = named.into_iter().chain(address(peer)).chain(about).chain(name);
        self.events.add([Event::new("connection.created", about)]);
    }

    /// A client that was in its virtual host has gone.
    pub fn announce_end_of_connection(&self, peer: &Peer) {
        if self.events.are_on() {
            let about = of_connection(peer, "name").into_iter();
            self.events.add([Event::new("connection.closed", about)]);
        }
    }

    /// A channel was opened or closed, as the key says.
    pub fn announce_channel(&self, key: &'static str, peer: &Peer, channel: u16) {
        if self.events.are_on() {
            let name = format!("{} ({channel})", peer.name());
            let about = [("name", text(&name)), ("number", i64::from(channel).into())];
            let about = about.into_iter().chain(of_connection(peer, "connection"));
            self.events.add([Event::new(key, about)]);
        }
    }

    /// A consumer has come or gone, as the key says.
    pub fn announce_consumer(&self, key: &'static str, peer: &Peer, consumer: ConsumerFacts<'_>) {
        if self.events.are_on() {
            let channel = format!("{} ({})", peer.name(), consumer.channel);
            let queue = consumer.queue.map(|queue| ("queue", text(queue)));
            let about = [("consumer_tag", text(consumer.tag)), ("channel", text(&channel))];
            let about = about.into_iter().chain(queue).chain(consumer.more);
            let about = about.chain(of_connection(peer, "connection"));
            self.events.add([Event::new(key, about)]);
        }
    }

    /// What was seen of the resources may have set an alarm, or cleared it.
    pub fn announce_alarms(&self, before: State, now: State) {
        let changes = [
            ("disk", before.disk_alarm, now.disk_alarm),
            ("memory", before.memory_alarm, now.memory_alarm),
        ];
        for (source, _, is_set) in changes.into_iter().filter(|(_, was, is)| was != is) {
            let key = if is_set { "alarm.set" } else { "alarm.cleared" };
            let about = [("alarm", text(source)), ("node", text(node_name()))];
            self.events.add([Event::new(key, about)]);
        }
    }
}

/// Whose a thing is.
fn of_connection(peer: &Peer, name: &'static str) -> Vec<(&'static str, Value)> {
    let login = peer.login();
    let mut about = vec![(name, text(&peer.name()))];
    if let Some(login) = login {
        about.push(("user", text(&login.user)));
        about.push(("vhost", text(&login.vhost)));
    }
    about
}

fn address(peer: &Peer) -> [(&'static str, Value); 4] {
    [
        ("host", text(&peer.link.local.host())),
        ("port", i64::from(peer.link.local.port()).into()),
        ("peer_host", text(&peer.link.peer.host())),
        ("peer_port", i64::from(peer.link.peer.port()).into()),
    ]
}

fn text(text: &str) -> Value {
    Value::from(text)
}
