//! The end of the handshake: who the client is, and its vhost.

use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{MethodId, ReplyCode, ServerMethod, method};
use tokio::sync::oneshot;

use super::held::Held;
use super::refusal::Refusal;
use super::{Amqp, from_table};
use crate::server::audit::LoginAttempt;
use crate::server::backends::{Identity, Said};
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

/// A token whose worth is being found out, for the channel of connection.update-secret.
pub(super) struct Renewal {
    channel: u16,
    renewed: oneshot::Receiver<Option<Identity>>,
}

impl Amqp {
    pub(super) fn handle_login(&mut self, now: Instant, login: &leveret_amqp::Login<'_>) {
        let from = self.peer.link.peer.ip();
        let (mechanism, user, password) = match (login.mechanism, self.peer.link.certificate_user())
        {
            // What the client says of itself beside that is not looked at, as in RabbitMQ.
            ("EXTERNAL", Some(user)) => ("EXTERNAL", user, None),
            ("AMQPLAIN", _) => ("AMQPLAIN", login.user, Some(login.password)),
            _ => ("PLAIN", login.user, Some(login.password)),
        };
        let credentials = Credentials { user, password, from, client: None };
        let verdict = self.node.begin_login(credentials, &self.peer.outbox);
        let user = user.into();
        self.login = Some(Box::new(WaitingLogin { user, mechanism, verdict }));
        self.finish_login(now);
    }

    /// Lets the client in, or not, once it is known whether its login is right.
    pub(super) fn finish_login(&mut self, now: Instant) {
        let Some(identity) = self.login.as_mut().and_then(|login| login.verdict.poll()) else {
            return;
        };
        let Some(login) = self.login.take() else { return };
        let WaitingLogin { user, mechanism, .. } = *login;
        let user = identity.as_ref().map_or(user, |identity| identity.user.clone());
        let (dialect, is_user) = (Dialect::Amqp091, identity.is_some());
        self.node
            .announce_login(&self.peer, LoginAttempt { user: &user, dialect, mechanism, is_user });
        let Some(identity) = identity else { return self.connection.login_refused(now) };
        self.publisher = Publisher::new(None).on_behalf_of(&identity);
        self.identity = identity;
        self.peer.set_login(Login {
            protocol: Dialect::Amqp091,
            user: self.identity.user.clone(),
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

    /// connection.update-secret: a new secret changes nothing for users with a password.
    pub(super) fn update_secret(&mut self, channel: u16, secret: &[u8]) {
        if self.identity.expires_at().is_none() {
            return self.connection.reply(channel, ServerMethod::UpdateSecretOk);
        }
        let (node, identity, outbox) =
            (self.node.clone(), self.identity.clone(), self.peer.outbox.clone());
        let (from, token) = (self.peer.link.peer.ip(), secret.to_vec());
        let (sender, renewed) = oneshot::channel();
        tokio::spawn(async move {
            let (user, password) = (&*identity.user, Some(&*token));
            let login = Credentials { user, password, from, client: None };
            let renewed = match node.backends().renew(&identity, login).await {
                Said::Welcome(renewed) => Some(renewed),
                Said::Refused | Said::NotNow | Said::Unknown => None,
            };
            if sender.send(renewed).is_ok() {
                outbox.wake();
            }
        });
        self.renewal = Some(Renewal { channel, renewed });
    }

    /// Goes on with the new token, if it is known whether it is good.
    pub(super) fn finish_renewal(&mut self, now: Instant) {
        let Some(Renewal { channel, renewed }) = &mut self.renewal else { return };
        let (channel, renewed) = (*channel, renewed.try_recv());
        if matches!(renewed, Err(oneshot::error::TryRecvError::Empty)) {
            return;
        }
        self.renewal = None;
        if !self.connection.is_running() {
            return;
        }
        let Some(identity) = renewed.ok().flatten() else {
            let text = "New secret was refused by one of the backends";
            let refusal = Refusal::connection(ReplyCode::NotAllowed, text);
            return self.refuse(now, channel, &refusal, method::connection::UPDATE_SECRET);
        };
        self.publisher = Publisher::new(None).on_behalf_of(&identity);
        self.identity = identity;
        self.connection.reply(channel, ServerMethod::UpdateSecretOk);
    }

    /// Ends the connection of a user whose token has expired.
    pub(super) fn end_expired(&mut self, now: Instant) {
        if self.connection.is_running() && self.identity.has_expired(now) {
            let text = "the token has expired";
            let refusal = Refusal::connection(ReplyCode::ConnectionForced, text);
            self.flush_batch();
            self.refuse(now, 0, &refusal, MethodId::NONE);
        }
    }

    pub(super) fn handle_open(&mut self, now: Instant, vhost: &str) {
        let vhost = self.node.topology().vhost_name(vhost);
        match self.enter(&vhost) {
            Ok(admission) => self.admission = Some(admission),
            Err(_) if self.identity.must_ask() => return self.hold(Held::Open(vhost)),
            Err(text) => {
                self.node.audit_entry(&self.peer, (&self.identity.user, &vhost), Some(&text));
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
        let user = &self.identity.user;
        let admitted = self.node.admit(&self.peer, user, vhost);
        let admission = admitted.map_err(|error| error.to_string())?;
        match self.identity.may_enter(&self.node.topology(), vhost, None) {
            Some(true) => Ok(admission),
            _ => Err(format!("access to vhost '{vhost}' refused for user '{user}'")),
        }
    }
}
