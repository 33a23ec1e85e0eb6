//! A connection: CONNECT, SUBSCRIBE, and the end.

use crate::error::Error;
use crate::mqtt::wire::{self, Fields, Packet, Version, kind, protocol};
use crate::socket::{Socket, answered};
use crate::uri::Uri;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct Connect<'a> {
    /// Its name.
    pub client: &'a str,
    /// The version that it speaks.
    pub version: Version,
    /// Whether its session outlives the connection.
    pub persistent: bool,
}

/// A connection to an MQTT broker.
#[derive(Debug)]
pub struct Client {
    /// Its socket.
    pub socket: Socket,
    /// The version that is spoken.
    pub version: Version,
    /// How many messages of QoS 1 and 2 the broker takes at once.
    pub receive_max: usize,
}

impl Client {
    /// Connects and logs in.
    pub async fn connect(uri: &Uri, connect: &Connect<'_>) -> Result<Client, Error> {
        let socket = Socket::connect(uri).await?;
        let mut client = Client { socket, version: connect.version, receive_max: 65_535 };
        let done = answered("to CONNECT", client.handshake(uri, connect)).await;
        done.map_err(|error| match error {
            Error::Closed(reason) => Error::Refused(reason),
            Error::Gone(reason) => Error::Refused(format!("{reason} during the handshake")),
            other => other,
        })?;
        Ok(client)
    }

    async fn handshake(&mut self, uri: &Uri, connect: &Connect<'_>) -> Result<(), Error> {
        let mut out = Vec::new();
        wire::write(&mut out, kind::CONNECT, 0, &connect_body(uri, connect));
        self.socket.send(&out).await?;
        let answer = self.answer(kind::CONNACK).await?;
        let mut fields = Fields(&answer);
        fields.octet()?;
        match fields.octet()? {
            0 => {}
            code => return Err(Error::Refused(wire::reason(code))),
        }
        if self.version == Version::V5 {
            self.receive_max = receive_max(fields.properties()?)?.into();
        }
        Ok(())
    }

    /// Subscribes to topics. Messages may come before the answer has: they are dropped, so nothing
    /// may be published before all have subscribed.
    pub async fn subscribe(&mut self, topics: &[String], qos: u8) -> Result<(), Error> {
        let mut body = vec![0, 1];
        if self.version == Version::V5 {
            body.push(0);
        }
        for topic in topics {
            wire::string(&mut body, topic.as_bytes());
            body.push(qos);
        }
        let mut out = Vec::new();
        wire::write(&mut out, kind::SUBSCRIBE, 2, &body);
        self.socket.send(&out).await?;
        let answer = answered("to SUBSCRIBE", self.answer(kind::SUBACK)).await?;
        let mut fields = Fields(&answer);
        fields.short()?;
        if self.version == Version::V5 {
            fields.properties()?;
        }
        let denied = |reason: String| Err(Error::Denied { what: "subscribe".to_owned(), reason });
        match fields.0.iter().find(|granted| **granted != qos) {
            Some(&code) if code >= 0x80 => denied(wire::reason(code)),
            Some(granted) => denied(format!("it grants QoS {granted} only")),
            None if fields.0.len() != topics.len() => {
                denied("it answers for other topics".to_owned())
            }
            None => Ok(()),
        }
    }

    /// Whether what has come in unasked is the end, as far as it is understood.
    pub fn check(&self) -> Result<(), Error> {
        wire::packet(self.socket.unread())?.map_or(Ok(()), |(packet, _)| unexpected(packet))
    }

    /// Waits until the broker has done everything that was sent.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.socket.send(&[kind::PINGREQ << 4, 0]).await?;
        answered("to PINGREQ", self.answer(kind::PINGRESP)).await.map(drop)
    }

    /// Ends the connection. When this returns, the broker has done everything that was sent.
    pub async fn close(mut self) -> Result<(), Error> {
        self.ping().await?;
        self.socket.send(&[kind::DISCONNECT << 4, 0]).await
    }

    /// Waits for a packet of this kind. Others that come before it are dropped.
    pub async fn answer(&mut self, expected: u8) -> Result<Vec<u8>, Error> {
        loop {
            while let Some((packet, used)) = wire::packet(self.socket.unread())? {
                let found = packet.kind == expected;
                if !found {
                    unexpected(packet)?;
                }
                let body = if found { packet.body.to_vec() } else { Vec::new() };
                self.socket.consume(used);
                if found {
                    return Ok(body);
                }
            }
            self.socket.receive().await?;
        }
    }
}

/// What a packet means that nobody has asked for: an error if it is the end.
pub fn unexpected(packet: Packet<'_>) -> Result<(), Error> {
    if packet.kind == kind::DISCONNECT {
        let code = packet.body.first().copied().unwrap_or_default();
        return Err(Error::Closed(wire::reason(code)));
    }
    Ok(())
}

/// Receive Maximum, if the properties of a CONNACK have it.
fn receive_max(mut properties: Fields<'_>) -> Result<u16, Error> {
    const DEFAULT: u16 = 65_535;
    while !properties.0.is_empty() {
        match properties.octet()? {
            0x21 => return properties.short(),
            0x24 | 0x25 | 0x28 | 0x29 | 0x2A => drop(properties.octet()?),
            0x13 | 0x22 => drop(properties.short()?),
            0x11 | 0x27 => drop(properties.take(4)?),
            0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => drop(properties.string()?),
            0x26 => {
                properties.string()?;
                properties.string()?;
            }
            _ => return Err(protocol("a CONNACK with a property of no known kind")),
        }
    }
    Ok(DEFAULT)
}

fn connect_body(uri: &Uri, connect: &Connect<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    wire::string(&mut body, b"MQTT");
    body.push(if connect.version == Version::V5 { 5 } else { 4 });
    let login = if uri.login.is_some() { 0b1100_0000 } else { 0 };
    // Clean session, or clean start.
    body.push(login | if connect.persistent { 0 } else { 0b10 });
    // No keep alive.
    body.extend([0, 0]);
    if connect.version == Version::V5 {
        // Session expiry interval: an hour, should nobody be there to end it.
        match connect.persistent {
            true => body.extend([5, 0x11, 0, 0, 0x0E, 0x10]),
            false => body.push(0),
        }
    }
    wire::string(&mut body, connect.client.as_bytes());
    if let Some((user, password)) = &uri.login {
        wire::string(&mut body, user.as_bytes());
        wire::string(&mut body, password.as_bytes());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_maximum_is_found_behind_other_properties() {
        let properties = [0x24, 1, 0x12, 0, 1, b'a', 0x27, 0, 0, 1, 0, 0x21, 0, 20, 0x13, 0, 9];
        assert_eq!(receive_max(Fields(&properties)).unwrap(), 20);
        assert_eq!(receive_max(Fields(&[])).unwrap(), 65_535);
        assert!(receive_max(Fields(&[0x21, 0])).is_err());
        assert!(receive_max(Fields(&[0x7F])).is_err());
    }
}
