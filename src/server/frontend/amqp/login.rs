//! The end of the handshake: who the client is, and its vhost.

use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{Login as Credentials, MethodId, ReplyCode, method};

use super::{Amqp, from_table};
use crate::server::connections::Login;
use crate::server::counts::Dialect;
use crate::server::publisher::Publisher;
use crate::server::usage::Admission;

impl Amqp {
    pub(super) fn handle_login(&mut self, now: Instant, login: &Credentials<'_>) {
        let is_user = self.node.login(login.user, login.password, self.peer.link.peer.ip());
        self.node.announce_login(&self.peer, login.user, Dialect::Amqp091, is_user);
        if !is_user {
            return self.connection.login_refused(now);
        }
        self.user = login.user.into();
        let publisher = Publisher::new(None);
        self.publisher = publisher.on_behalf_of(login.user);
        let mechanism = if login.mechanism == "AMQPLAIN" { "AMQPLAIN" } else { "PLAIN" };
        self.peer.set_login(Login {
            protocol: Dialect::Amqp091,
            user: self.user.to_string(),
            vhost: self.vhost.clone(),
            client_name: self.connection.connection_name().map(str::to_owned),
            properties: from_table(self.connection.client_properties()),
            frame_max: 0,
            channel_max: 0,
            heartbeat: 0,
            mechanism,
        });
        self.connection.login_ok();
    }

    pub(super) fn handle_open(&mut self, now: Instant, vhost: &str) {
        let vhost: Arc<str> = vhost.into();
        match self.enter(&vhost) {
            Ok(admission) => self.admission = Some(admission),
            Err(text) => {
                let open: MethodId = method::connection::OPEN;
                return self.connection.connection_error(now, ReplyCode::NotAllowed, &text, open);
            }
        }
        self.vhost = vhost;
        if let Some(login) = self.peer.login() {
            self.peer.set_login(Login {
                vhost: self.vhost.clone(),
                frame_max: self.connection.frame_max(),
                channel_max: self.connection.channel_max(),
                heartbeat: self.connection.heartbeat().map_or(0, |every| every.as_secs() as u16),
                ..login
            });
        }
        self.node.announce_connection(&self.peer);
        self.connection.open_ok();
    }

    /// Limits come before permissions, as in RabbitMQ.
    fn enter(&self, vhost: &Arc<str>) -> Result<Admission, String> {
        if !self.node.topology().has_vhost(vhost) {
            return Err(format!("vhost {vhost} not found"));
        }
        let admitted = self.node.admit(&self.peer, &self.user, vhost);
        let admission = admitted.map_err(|error| error.to_string())?;
        let topology = self.node.topology();
        let user = topology.user(&self.user);
        if user.is_some_and(|user| user.permissions.contains_key(vhost)) {
            return Ok(admission);
        }
        Err(format!("access to vhost '{vhost}' refused for user '{}'", self.user))
    }
}
