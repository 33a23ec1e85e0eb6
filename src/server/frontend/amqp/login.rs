//! The end of the handshake: who the client is, and its vhost.

use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{MethodId, ReplyCode, method};

use super::{Amqp, from_table};
use crate::server::connections::{Introduction, Login};
use crate::server::counts::Dialect;
use crate::server::logins::{Credentials, Verdict};
use crate::server::publisher::Publisher;
use crate::server::usage::Admission;

/// A login that may have to be waited for.
pub(super) struct WaitingLogin {
    user: Arc<str>,
    mechanism: &'static str,
    verdict: Verdict,
}

impl Amqp {
    pub(super) fn handle_login(&mut self, now: Instant, login: &leveret_amqp::Login<'_>) {
        let from = self.peer.link.peer.ip();
        let (mechanism, user, verdict) = match (login.mechanism, self.peer.link.certificate_user())
        {
            // What the client says of itself beside that is not looked at, as in RabbitMQ.
            ("EXTERNAL", Some(user)) => {
                let may_enter = self.node.may_enter_by_certificate(user, from);
                ("EXTERNAL", user, Verdict::Known(may_enter))
            }
            (mechanism, _) => {
                let leveret_amqp::Login { user, password, .. } = *login;
                let credentials = Credentials { user, password, from };
                let mechanism = if mechanism == "AMQPLAIN" { "AMQPLAIN" } else { "PLAIN" };
                (mechanism, user, self.node.begin_login(credentials, &self.peer.outbox))
            }
        };
        let user = self.node.topology().user_name(user);
        self.login = Some(Box::new(WaitingLogin { user, mechanism, verdict }));
        self.finish_login(now);
    }

    /// Lets the client in, or not, once it is known whether its login is right.
    pub(super) fn finish_login(&mut self, now: Instant) {
        let Some(is_user) = self.login.as_mut().and_then(|login| login.verdict.poll()) else {
            return;
        };
        let Some(login) = self.login.take() else { return };
        let WaitingLogin { user, mechanism, .. } = *login;
        self.node.announce_login(&self.peer, &user, Dialect::Amqp091, is_user);
        if !is_user {
            return self.connection.login_refused(now);
        }
        let publisher = Publisher::new(None);
        self.publisher = publisher.on_behalf_of(&user);
        self.user = user;
        self.peer.set_login(Login {
            protocol: Dialect::Amqp091,
            user: self.user.clone(),
            vhost: self.vhost.clone(),
            client_name: self.connection.connection_name().map(Arc::from),
            introduction: Introduction::Properties(from_table(self.connection.client_properties())),
            frame_max: 0,
            channel_max: 0,
            heartbeat: 0,
            mechanism,
        });
        self.connection.login_ok();
    }

    pub(super) fn handle_open(&mut self, now: Instant, vhost: &str) {
        let vhost = self.node.topology().vhost_name(vhost);
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
