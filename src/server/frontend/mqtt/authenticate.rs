//! Who a client is: by user name and password, by SCRAM, by its certificate, or nobody in particular.
//!
//! SCRAM takes a packet more than CONNECT, and a password may take a while to be checked. Until then the
//! client waits as an [`Arrival`]; a client that is in already and authenticates again has none.

use leveret_mqtt::{Auth, Authentication, Connect, Reason, ReasonCode, Version};

use super::Mqtt;
use super::connect::Arrival;
use crate::config::Anonymous;
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
    /// A password is being checked: the client is not listened to.
    Password(Verdict),
}

impl Mqtt {
    pub(super) fn handle_connect(&mut self, connect: &Connect<'_>) {
        let arrival = Arrival::of(connect);
        if let Some(Authentication { method, data }) = connect.authentication {
            return match method {
                scram::METHOD => self.begin_login(Some(arrival), data),
                _ => self.connection.refuse(UNKNOWN_METHOD),
            };
        }
        let Some(user) = connect.username else { return self.enter_without_name(arrival) };
        let password = connect.password.unwrap_or_default();
        let credentials = Credentials { user, password, from: self.peer.link.peer.ip() };
        let verdict = self.node.begin_login(credentials, &self.peer.outbox);
        let step = Step::Password(verdict);
        self.login = Some(Box::new(Login { step, arrival: Some(arrival) }));
        self.finish_password();
    }

    /// Lets the client in, or not, once it is known whether its password is right.
    pub(super) fn finish_password(&mut self) {
        let Some(login) = self.login.as_mut() else { return };
        let Step::Password(verdict) = &mut login.step else { return };
        let Some(is_user) = verdict.poll() else { return };
        let arrival = self.login.take().and_then(|login| login.arrival);
        let Some(arrival) = arrival.filter(|_| !self.connection.is_closed()) else { return };
        let user = arrival.username.clone().unwrap_or_default();
        let dialect = dialect(self.connection.version());
        self.node.announce_login(&self.peer, &user, dialect, is_user);
        match is_user {
            true => self.enter(arrival, &user, ""),
            false => self.connection.refuse(WRONG_PASSWORD),
        }
    }

    /// Whether a password is being checked.
    pub(super) fn is_checking(&self) -> bool {
        self.login.as_ref().is_some_and(|login| matches!(login.step, Step::Password(_)))
    }

    /// A client that names no user, and no method.
    fn enter_without_name(&mut self, mut arrival: Arrival) {
        let peer = self.peer.clone();
        let by_certificate = self.node.config.mqtt_tls_user_from_cert;
        let Some(user) = peer.link.certificate_user().filter(|_| by_certificate) else {
            return self.enter_anonymously(arrival);
        };
        let may_enter = self.node.may_enter_by_certificate(user, peer.link.peer.ip());
        let dialect = dialect(self.connection.version());
        self.node.announce_login(&peer, user, dialect, may_enter);
        if !may_enter {
            return self.connection.refuse(WRONG_CERTIFICATE);
        }
        arrival.mechanism = "EXTERNAL";
        self.enter(arrival, user, "");
    }

    fn enter_anonymously(&mut self, arrival: Arrival) {
        let is_allowed = match self.node.config.mqtt_anonymous {
            Anonymous::Always => true,
            Anonymous::Loopback => self.peer.is_loopback(),
            Anonymous::Never => false,
        };
        if !is_allowed {
            return self.connection.refuse(NO_USER);
        }
        let user = self.node.config.mqtt_anonymous_user.clone();
        self.enter(arrival, &user, "");
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
            Step::Password(_) => {}
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
        self.node.announce_login(&self.peer, user, dialect, answer.is_ok());
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.refuse_login(&error.to_string()),
        };
        let before = match &arrival {
            Some(arrival) => arrival.username.as_deref(),
            None => self.reader.as_ref().map(|reader| &*reader.user),
        };
        if before.is_some_and(|before| before != user) {
            return self
                .refuse_login("authenticated as another user than before, or than in CONNECT");
        }
        match arrival {
            Some(arrival) => self.enter(arrival, user, &answer),
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
