//! The end of the handshake: who the client is, and its vhost.

use std::time::Instant;

use leveret_amqp::{Login as Credentials, MethodId, ReplyCode, method};

use super::{Amqp, from_table};
use crate::server::connections::Login;

impl Amqp {
    pub(super) fn handle_login(&mut self, now: Instant, login: &Credentials<'_>) {
        if !self.node.login(login.user, login.password, self.peer.address.ip()) {
            return self.connection.login_refused(now);
        }
        self.user = login.user.to_owned();
        let mechanism = if login.mechanism == "AMQPLAIN" { "AMQPLAIN" } else { "PLAIN" };
        self.peer.set_login(Login {
            protocol: "AMQP 0-9-1",
            user: self.user.clone(),
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
        if let Err(text) = self.check_vhost(vhost) {
            let open: MethodId = method::connection::OPEN;
            return self.connection.connection_error(now, ReplyCode::NotAllowed, &text, open);
        }
        self.vhost = vhost.into();
        if let Some(login) = self.peer.login() {
            self.peer.set_login(Login {
                vhost: self.vhost.clone(),
                frame_max: self.connection.frame_max(),
                channel_max: self.connection.channel_max(),
                heartbeat: self.connection.heartbeat().map_or(0, |every| every.as_secs() as u16),
                ..login
            });
        }
        self.connection.open_ok();
    }

    fn check_vhost(&self, vhost: &str) -> Result<(), String> {
        let topology = self.node.topology();
        if !topology.has_vhost(vhost) {
            return Err(format!("vhost {vhost} not found"));
        }
        let permitted =
            topology.user(&self.user).is_some_and(|user| user.permissions.contains_key(vhost));
        if permitted {
            return Ok(());
        }
        Err(format!("access to vhost '{vhost}' refused for user '{}'", self.user))
    }
}
