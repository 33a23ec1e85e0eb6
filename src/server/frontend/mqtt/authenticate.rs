//! Who a client is: by user name and password, by SCRAM, by its certificate, or nobody in particular.
//!
//! SCRAM takes a packet more than CONNECT, and a password may take a while to be checked. Until then the
//! client waits as an [`Arrival`]; a client that is in already and authenticates again has none.

use leveret_mqtt::{Auth, Authentication, Connect, Reason, ReasonCode, Version};

use tokio::sync::oneshot;

use super::Mqtt;
use super::connect::Arrival;
use crate::config::Anonymous;
use crate::server::audit::LoginAttempt;
use crate::server::backends::Identity;
use crate::server::counts::Dialect;
use crate::server::logins::{Credentials, Verdict};
use crate::server::scram;

/// A login that is not finished.
pub(super) struct Login {
    step: Step,
    /// What the client came for, if it is not in yet.
    arrival: Option<Arrival>,
}

enum Step {
    /// Nothing has been said yet.
    First,
    Final(scram::Exchange),
    /// A password is being checked, or a certificate's user: the client is not listened to.
    Check(Verdict),
    /// It is being found out whether the user may come in; nor is it then.
    Entry(Identity, oneshot::Receiver<()>),
}

impl Mqtt {
    pub(super) fn handle_connect(&mut self, connect: &Connect<'_>) {
        let username = self.choose_vhost(connect.username);
        let arrival = Arrival::of(connect, username);
        if let Some(Authentication { method, data }) = connect.authentication {
            return match method {
                scram::METHOD => self.begin_login(Some(arrival), data),
                _ => self.connection.refuse(UNKNOWN_METHOD),
            };
        }
        let (user, password) = match username {
            Some(user) => (user, Some(connect.password.unwrap_or_default())),
            None => match self.certificate_user() {
                Some(user) => return self.check(arrival, &user, None, connect.client_id),
                None => return self.enter_anonymously(arrival),
            },
        };
        self.check(arrival, user, password, connect.client_id);
    }

    fn check(
        &mut self,
        mut arrival: Arrival,
        user: &str,
        password: Option<&[u8]>,
        client_id: &str,
    ) {
        if password.is_none() {
            arrival.mechanism = "EXTERNAL";
            arrival.username = Some(user.to_owned());
        }
        let (from, client) = (self.peer.link.peer.ip(), Some((&*self.vhost, client_id)));
        let credentials = Credentials { user, password, from, client };
        let verdict = self.node.begin_login(credentials, &self.peer.outbox);
        self.login = Some(Box::new(Login { step: Step::Check(verdict), arrival: Some(arrival) }));
        self.finish_check();
    }

    /// The user of the client's certificate, if that is to be looked at.
    fn certificate_user(&self) -> Option<String> {
        let user = self.peer.link.certificate_user()?;
        self.node.config.mqtt_tls_user_from_cert.then(|| user.to_owned())
    }

    /// Lets the client in, or not, once it is known whether it may come.
    pub(super) fn finish_check(&mut self) {
        let Some(login) = self.login.as_mut() else { return };
        let identity = match &mut login.step {
            Step::Check(verdict) => match verdict.poll() {
                Some(identity) => identity,
                None => return,
            },
            Step::Entry(identity, answered) => match answered.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return,
                _ => Some(identity.clone()),
            },
            Step::First | Step::Final(_) => return,
        };
        let Some(login) = self.login.take() else { return };
        let Login { step, arrival: Some(arrival) } = *login else { return };
        if self.connection.is_closed() {
            return;
        }
        if let Step::Check(_) = step {
            let named = arrival.username.as_deref().unwrap_or_default();
            let user = identity.as_ref().map_or(named, |identity| &*identity.user);
            let dialect = dialect(self.connection.version());
            let (mechanism, is_user) = (arrival.mechanism, identity.is_some());
            let attempt = LoginAttempt { user, dialect, mechanism, is_user };
            self.node.announce_login(&self.peer, attempt);
        }
        match identity {
            Some(identity) => self.enter(arrival, identity, ""),
            None if arrival.mechanism == "EXTERNAL" => self.connection.refuse(WRONG_CERTIFICATE),
            None => self.connection.refuse(WRONG_PASSWORD),
        }
    }

    /// Has it found out what a client may do of what it has come for.
    pub(super) fn enter_later(&mut self, arrival: Arrival, identity: Identity) {
        let answered = identity.ask_for(&self.peer.outbox);
        let step = Step::Entry(identity, answered);
        self.login = Some(Box::new(Login { step, arrival: Some(arrival) }));
    }

    /// Whether the client has to wait to be let in.
    pub(super) fn is_checking(&self) -> bool {
        let step = self.login.as_ref().map(|login| &login.step);
        step.is_some_and(|step| matches!(step, Step::Check(_) | Step::Entry(..)))
    }

    fn enter_anonymously(&mut self, arrival: Arrival) {
        let is_allowed = match self.node.config.mqtt_anonymous {
            Anonymous::Always => true,
            Anonymous::Loopback => self.peer.is_loopback(),
            Anonymous::Never => false,
        };
        let user = self.node.topology().user_name(&self.node.config.mqtt_anonymous_user);
        let (dialect, mechanism) = (dialect(self.connection.version()), arrival.mechanism);
        let attempt = LoginAttempt { user: &user, dialect, mechanism, is_user: is_allowed };
        self.node.audit_login(&self.peer, attempt);
        if !is_allowed {
            return self.connection.refuse(NO_USER);
        }
        self.enter(arrival, Identity::internal(user), "");
    }

    pub(super) fn handle_auth(&mut self, auth: &Auth<'_>) {
        if auth.reason == ReasonCode::ReAuthenticate {
            return self.begin_login(None, auth.data);
        }
        let Some(Login { step, arrival }) = self.login.take().map(|login| *login) else { return };
        let data = auth.data.unwrap_or_default();
        match step {
            Step::First => self.first_step(arrival, data),
            Step::Final(exchange) => self.final_step(arrival, &exchange, data),
            Step::Check(_) | Step::Entry(..) => {}
        }
    }

    fn begin_login(&mut self, arrival: Option<Arrival>, data: Option<&[u8]>) {
        match data {
            Some(data) => self.first_step(arrival, data),
            None => self.challenge(Login { step: Step::First, arrival }, ""),
        }
    }

    fn first_step(&mut self, arrival: Option<Arrival>, data: &[u8]) {
        match self.node.begin_scram(data) {
            Ok((exchange, answer)) => {
                self.challenge(Login { step: Step::Final(exchange), arrival }, &answer);
            }
            Err(error) => self.refuse_login(&error.to_string()),
        }
    }

    fn challenge(&mut self, login: Login, data: &str) {
        // A client that does not take the packet is gone already.
        if self.connection.challenge(data.as_bytes()).is_ok() {
            self.login = Some(Box::new(login));
        }
    }

    fn final_step(&mut self, arrival: Option<Arrival>, exchange: &scram::Exchange, data: &[u8]) {
        let user = exchange.user();
        let answer = self.node.finish_scram(exchange, data, self.peer.link.peer.ip());
        let dialect = dialect(self.connection.version());
        let (mechanism, is_user) = (scram::METHOD, answer.is_ok());
        self.node.announce_login(&self.peer, LoginAttempt { user, dialect, mechanism, is_user });
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.refuse_login(&error.to_string()),
        };
        let before = match &arrival {
            Some(arrival) => arrival.username.as_deref(),
            None => self.reader.as_ref().map(|reader| &*reader.identity.user),
        };
        if before.is_some_and(|before| before != user) {
            return self
                .refuse_login("authenticated as another user than before, or than in CONNECT");
        }
        match arrival {
            Some(arrival) => {
                let user = self.node.topology().user_name(user);
                self.enter(arrival, Identity::internal(user), &answer);
            }
            // A client that does not take the packet is gone already.
            None => _ = self.connection.authenticated(answer.as_bytes()),
        }
    }

    /// By CONNACK, or by DISCONNECT if the client was in [MQTT-4.12.0-4, -4.12.1-2].
    fn refuse_login(&mut self, why: &str) {
        let code = match self.session {
            None => ReasonCode::BadUserNameOrPassword,
            Some(_) => ReasonCode::NotAuthorized,
        };
        self.connection.disconnect(Reason::new(code, why));
    }
}

pub(super) fn dialect(version: Version) -> Dialect {
    match version {
        Version::V31 => Dialect::Mqtt310,
        Version::V3 => Dialect::Mqtt311,
        Version::V5 => Dialect::Mqtt50,
    }
}

const UNKNOWN_METHOD: Reason<'_> =
    Reason::new(ReasonCode::BadAuthenticationMethod, "the only method is SCRAM-SHA-256");
const NO_USER: Reason<'_> = Reason::new(ReasonCode::NotAuthorized, "there is no user name");
const WRONG_CERTIFICATE: Reason<'_> =
    Reason::new(ReasonCode::NotAuthorized, "the user of the certificate may not log in");
const WRONG_PASSWORD: Reason<'_> =
    Reason::new(ReasonCode::BadUserNameOrPassword, "user name or password is wrong");
