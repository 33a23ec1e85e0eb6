//! From the protocol header to connection.open-ok (AMQP 0-9-1 §2.2.4).

use std::time::Instant;

use super::{Connection, State};
use crate::config::FRAME_MIN;
use crate::error::{Exception, Failure, ReplyCode};
use crate::event::{Event, Login};
use crate::method::MethodId;
use crate::method::connection::{OPEN, OPEN_OK, START, START_OK, TUNE, TUNE_OK};
use crate::method::connection::{StartOk, Tune, parse_open, put_start};
use crate::table::{Table, TableLimits};
use crate::value::Value;

/// What is known of the client.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) properties: Box<[u8]>,
    pub(super) capabilities: Capabilities,
    mechanism: Box<str>,
}

/// What a client says that it can do, in the `capabilities` of its properties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It understands connection.blocked.
    pub connection_blocked: bool,
    /// It understands basic.cancel from the server.
    pub consumer_cancel_notify: bool,
    /// It wants connection.close when its login is refused.
    pub authentication_failure_close: bool,
}

impl Capabilities {
    fn parse(client_properties: Table<'_>) -> Self {
        let table = client_properties.find("capabilities").and_then(|value| value.as_table());
        let has = |name| table.and_then(|table| table.find(name)) == Some(Value::Bool(true));
        Self {
            connection_blocked: has("connection.blocked"),
            consumer_cancel_notify: has("consumer_cancel_notify"),
            authentication_failure_close: has("authentication_failure_close"),
        }
    }
}

type Handled<'a> = Result<Option<Event<'a>>, Box<Failure>>;

impl Connection {
    /// The login is good: goes on with connection.tune.
    pub fn login_ok(&mut self) {
        if self.state != State::Login {
            return;
        }
        let tune = self.proposal();
        self.output.method(0, TUNE, |out| tune.put(out));
        self.state = State::Tuning;
    }

    /// The login is refused: with connection.close if the client can bear it, else without a word.
    pub fn login_refused(&mut self, now: Instant) {
        if self.state != State::Login {
            return;
        }
        if !self.peer.capabilities.authentication_failure_close {
            self.end();
            return;
        }
        let text = format!(
            "Login was refused using authentication mechanism {}. \
             For details see the broker logfile.",
            self.peer.mechanism
        );
        self.send_close(now, &Exception::new(ReplyCode::AccessRefused, text, MethodId::NONE));
    }

    /// The virtual host is open: the handshake is over.
    pub fn open_ok(&mut self) {
        if self.state != State::Open {
            return;
        }
        self.output.method(0, OPEN_OK, |out| out.extend_from_slice(&[0]));
        self.state = State::Running;
        self.timers.handshake_done();
    }

    /// Reads the protocol header; `false` if it is not all there.
    pub(super) fn handle_protocol_header(&mut self, input: &mut &[u8]) -> bool {
        let known = input.len().min(4);
        let Some((header, rest)) = input.split_first_chunk::<8>() else {
            self.needed_input = PROTOCOL_HEADER.len();
            if input[..known] != PROTOCOL_HEADER[..known] {
                self.refuse_protocol(input);
            }
            return false;
        };
        if *header != PROTOCOL_HEADER && *header != PROTOCOL_HEADER_0_9 {
            self.refuse_protocol(input);
            return false;
        }
        *input = rest;
        let config = &self.config;
        self.output.method(0, START, |out| {
            put_start(out, &config.server_properties, &config.mechanisms);
        });
        self.state = State::Starting;
        true
    }

    /// A method on channel 0 before the connection is running.
    pub(super) fn handle_handshake<'a>(
        &mut self,
        now: Instant,
        id: MethodId,
        arguments: &'a [u8],
    ) -> Handled<'a> {
        match (self.state, id) {
            (State::Starting, START_OK) => self.handle_start_ok(arguments).map(Some),
            (State::Tuning, TUNE_OK) => self.handle_tune_ok(now, arguments).map(|()| None),
            (State::Opening, OPEN) => {
                let vhost = parse_open(arguments).map_err(|error| Failure::decode(error, OPEN))?;
                self.state = State::Open;
                Ok(Some(Event::Open { vhost }))
            }
            _ => Err(self.unexpected_method(id)),
        }
    }

    pub(super) fn unexpected_method(&self, id: MethodId) -> Box<Failure> {
        let text = format!("unexpected method in connection state {}", self.state.name());
        Failure::connection(ReplyCode::ChannelError, text, id)
    }

    fn refuse_protocol(&mut self, input: &mut &[u8]) {
        *input = &[];
        self.output.put_static(&PROTOCOL_HEADER_REPLY);
        self.end();
    }

    fn handle_start_ok<'a>(&mut self, arguments: &'a [u8]) -> Result<Event<'a>, Box<Failure>> {
        let decode = |error| Failure::decode(error, START_OK);
        let start_ok = StartOk::parse(arguments, self.config.tables).map_err(decode)?;
        let StartOk { client_properties, mechanism, response } = start_ok;
        self.peer = Peer {
            properties: client_properties.as_encoded().into(),
            capabilities: Capabilities::parse(client_properties),
            mechanism: mechanism.into(),
        };
        if !self.config.mechanisms.split(' ').any(|enabled| enabled == mechanism) {
            let known = MECHANISMS.contains(&mechanism);
            let what = if known { "invalid" } else { "unknown" };
            let text = format!("{what} authentication mechanism '{mechanism}'");
            return Err(Failure::connection(ReplyCode::CommandInvalid, text, START_OK));
        }
        let (user, password) = credentials(mechanism, response, self.config.tables)?;
        self.state = State::Login;
        Ok(Event::Login(Login { mechanism, user, password, response }))
    }

    fn handle_tune_ok(&mut self, now: Instant, arguments: &[u8]) -> Result<(), Box<Failure>> {
        let tune = Tune::parse(arguments).map_err(|error| Failure::decode(error, TUNE_OK))?;
        let proposal = self.proposal();
        check_maximum("frame_max", tune.frame_max, proposal.frame_max)?;
        check_maximum("channel_max", tune.channel_max.into(), proposal.channel_max.into())?;
        if tune.frame_max < FRAME_MIN {
            let text = format!(
                "negotiated frame_max = {} is lower than the minimum allowed value ({FRAME_MIN})",
                tune.frame_max
            );
            return Err(Failure::connection(ReplyCode::NotAllowed, text, TUNE_OK));
        }
        self.set_frame_max(tune.frame_max);
        self.channel_max = tune.channel_max;
        self.timers.start_heartbeats(now, tune.heartbeat);
        self.state = State::Opening;
        Ok(())
    }

    fn proposal(&self) -> Tune {
        Tune {
            channel_max: self.config.channel_max,
            frame_max: self.config.frame_max(),
            heartbeat: self.config.heartbeat_secs,
        }
    }
}

/// Holds a negotiated value against the proposal. In both, 0 is no limit.
fn check_maximum(name: &str, value: u32, proposed: u32) -> Result<(), Box<Failure>> {
    if proposed == 0 || (value != 0 && value <= proposed) {
        return Ok(());
    }
    let no_limit = if value == 0 { " (no limit)" } else { "" };
    let text = format!(
        "negotiated {name} = {value}{no_limit} is higher than the maximum allowed value ({proposed})"
    );
    Err(Failure::connection(ReplyCode::NotAllowed, text, TUNE_OK))
}

/// User and password, of the mechanisms that have them.
fn credentials<'a>(
    mechanism: &str,
    response: &'a [u8],
    limits: TableLimits,
) -> Result<(&'a str, &'a [u8]), Box<Failure>> {
    match mechanism {
        "PLAIN" => plain(response).ok_or("response <<...>> invalid"),
        "AMQPLAIN" => amqplain(response, limits)
            .ok_or("AMQPLAIN auth info <<...>> is missing LOGIN or PASSWORD field"),
        _ => Ok(("", &[][..])),
    }
    .map_err(|text| Failure::connection(ReplyCode::SyntaxError, text, START_OK))
}

/// RFC 4616: authorization identity, 0, user, 0, password. The first is ignored.
fn plain(response: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = response.split(|octet| *octet == 0).skip(1);
    let (user, password) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((std::str::from_utf8(user).ok()?, password))
}

/// A table without its length.
fn amqplain(response: &[u8], limits: TableLimits) -> Option<(&str, &[u8])> {
    let table = Table::parse(response, limits).ok()?;
    match (table.find("LOGIN")?, table.find("PASSWORD")?) {
        (user, Value::LongStr(password)) => Some((user.as_str()?, password)),
        _ => None,
    }
}

const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
static PROTOCOL_HEADER_REPLY: [u8; 8] = PROTOCOL_HEADER;
/// What 0-9 clients send.
const PROTOCOL_HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";
const MECHANISMS: [&str; 4] = ["PLAIN", "AMQPLAIN", "EXTERNAL", "ANONYMOUS"];
