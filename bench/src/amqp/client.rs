//! A connection with one channel: the handshake, one method and its answer at a time, the end.

use crate::amqp::wire::{self, Arguments, FRAME_MAX, Frame, MethodId, Value, protocol};
use crate::error::Error;
use crate::socket::{Socket, answered};
use crate::uri::Uri;

/// The channel that everything is done on.
pub const CHANNEL: u16 = 1;

const START: MethodId = (10, 10);
const START_OK: MethodId = (10, 11);
const TUNE: MethodId = (10, 30);
const TUNE_OK: MethodId = (10, 31);
const OPEN: MethodId = (10, 40);
const OPEN_OK: MethodId = (10, 41);
const CLOSE: MethodId = (10, 50);
const CLOSE_OK: MethodId = (10, 51);
const CHANNEL_OPEN: MethodId = (20, 10);
const CHANNEL_OPEN_OK: MethodId = (20, 11);
const CHANNEL_CLOSE: MethodId = (20, 40);
const CONSUMER_CANCEL: MethodId = (60, 30);

/// A connection to an AMQP broker, with a channel open.
#[derive(Debug)]
pub struct Client {
    /// Its socket.
    pub socket: Socket,
    /// What the broker calls itself.
    pub broker: String,
    /// The largest frame, in octets.
    pub frame_max: usize,
}

impl Client {
    /// Connects, logs in and opens a channel.
    pub async fn connect(uri: &Uri) -> Result<Client, Error> {
        let mut client = Client::open(uri).await?;
        client.call("open a channel", CHANNEL_OPEN, CHANNEL_OPEN_OK, |out| out.push(0)).await?;
        Ok(client)
    }

    /// Connects and logs in.
    pub async fn open(uri: &Uri) -> Result<Client, Error> {
        let socket = Socket::connect(uri).await?;
        let mut client = Client { socket, broker: String::new(), frame_max: 0 };
        let done = answered("the handshake", client.handshake(uri)).await;
        done.map_err(|error| match error {
            Error::Closed(reason) => Error::Refused(reason),
            // RabbitMQ and others say nothing before the login is done.
            Error::Gone(reason) => Error::Refused(format!("{reason} during the handshake")),
            other => other,
        })?;
        Ok(client)
    }

    async fn handshake(&mut self, uri: &Uri) -> Result<(), Error> {
        self.socket.send(wire::PROTOCOL_HEADER).await?;
        let start = self.answer(START).await?;
        let mut arguments = start.arguments()?;
        arguments.short()?;
        let properties = wire::strings(arguments.long_string()?);
        let named =
            |name| properties.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        self.broker = [named("product"), named("version")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
        self.write(0, START_OK, |out| start_ok(out, uri)).await?;
        let tune = self.answer(TUNE).await?;
        let mut arguments = tune.arguments()?;
        let channels = arguments.short()?;
        let frame_max = match arguments.long()? {
            0 => FRAME_MAX,
            // Everybody takes the least (AMQP 0-9-1 §4.2.3), whatever is offered.
            offered => (offered as usize).clamp(4_096, FRAME_MAX),
        };
        self.frame_max = frame_max;
        self.write(0, TUNE_OK, |out| {
            out.extend(channels.to_be_bytes());
            out.extend((frame_max as u32).to_be_bytes());
            out.extend([0, 0]);
        })
        .await?;
        self.write(0, OPEN, |out| {
            wire::short_string(out, &uri.vhost);
            out.extend([0, 0]);
        })
        .await?;
        self.answer(OPEN_OK).await.map(drop)
    }

    /// Calls a method on the channel, and waits for its answer.
    pub async fn call(
        &mut self,
        what: &'static str,
        id: MethodId,
        answer: MethodId,
        arguments: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.write(CHANNEL, id, arguments).await?;
        match answered(what, self.answer(answer)).await {
            Ok(_) => Ok(()),
            Err(Error::Closed(reason)) => Err(Error::Denied { what: what.to_owned(), reason }),
            Err(error) => Err(error),
        }
    }

    async fn write(
        &mut self,
        channel: u16,
        id: MethodId,
        arguments: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        let mut out = Vec::new();
        wire::method(&mut out, channel, id, arguments);
        self.socket.send(&out).await
    }

    /// Waits for a method. Contents that come before it are dropped.
    pub async fn answer(&mut self, expected: MethodId) -> Result<Answer, Error> {
        loop {
            while let Some((frame, used)) = wire::frame(self.socket.unread())? {
                let answer = match frame {
                    Frame::Method(id, _) if id == expected => {
                        Some(Answer(self.socket.unread()[..used].to_vec()))
                    }
                    Frame::Method(id, arguments) => {
                        unexpected(id, arguments)?;
                        None
                    }
                    _ => None,
                };
                self.socket.consume(used);
                if let Some(answer) = answer {
                    return Ok(answer);
                }
            }
            self.socket.receive().await?;
        }
    }

    /// Whether what has come in unasked is the end, as far as it is understood.
    pub fn check(&self) -> Result<(), Error> {
        match wire::frame(self.socket.unread())? {
            Some((Frame::Method(id, arguments), _)) => unexpected(id, arguments),
            _ => Ok(()),
        }
    }

    /// Closes the connection. When this returns, the broker has done everything that was sent.
    pub async fn close(mut self) -> Result<(), Error> {
        self.write(0, CLOSE, |out| {
            out.extend(200u16.to_be_bytes());
            wire::short_string(out, "done");
            out.extend([0; 4]);
        })
        .await?;
        answered("to close the connection", self.answer(CLOSE_OK)).await.map(drop)
    }
}

/// A method that was waited for.
#[derive(Debug)]
pub struct Answer(Vec<u8>);

impl Answer {
    fn arguments(&self) -> Result<Arguments<'_>, Error> {
        match wire::frame(&self.0)? {
            Some((Frame::Method(_, arguments), _)) => Ok(arguments),
            _ => Err(protocol("no method")),
        }
    }
}

/// What a method means that nobody has asked for: an error if it is the end.
pub fn unexpected(id: MethodId, mut arguments: Arguments<'_>) -> Result<(), Error> {
    match id {
        CLOSE | CHANNEL_CLOSE => {
            let code = arguments.short()?;
            let text = String::from_utf8_lossy(arguments.short_string()?);
            Err(Error::Closed(format!("{code} {text}")))
        }
        CONSUMER_CANCEL => {
            let tag = String::from_utf8_lossy(arguments.short_string()?).into_owned();
            Err(Error::Closed(format!("the consumer {tag} was cancelled")))
        }
        _ => Ok(()),
    }
}

fn start_ok(out: &mut Vec<u8>, uri: &Uri) {
    let capability = |name: &str| (name.to_owned(), Value::Truth(true));
    let capabilities =
        ["authentication_failure_close", "consumer_cancel_notify", "connection.blocked"];
    let text = |key: &str, value: &str| (key.to_owned(), Value::Text(value.to_owned()));
    let properties = [
        text("product", "leveret bench"),
        text("version", env!("CARGO_PKG_VERSION")),
        ("capabilities".to_owned(), Value::Table(capabilities.map(capability).into())),
    ];
    wire::table(out, &properties);
    wire::short_string(out, "PLAIN");
    let (user, password) = match &uri.login {
        Some((user, password)) => (&**user, &**password),
        None => ("guest", "guest"),
    };
    wire::long_string(out, format!("\0{user}\0{password}").as_bytes());
    wire::short_string(out, "en_US");
}
