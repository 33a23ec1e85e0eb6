//! Where the broker is: `amqp://user:password@host:port/vhost`, `mqtt://user:password@host:port`.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::error::Error;

/// The protocol that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1.
    Amqp,
    /// MQTT.
    Mqtt,
}

impl Protocol {
    /// As it stands in a URI.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Amqp => "amqp",
            Protocol::Mqtt => "mqtt",
        }
    }

    fn port(self) -> u16 {
        match self {
            Protocol::Amqp => 5672,
            Protocol::Mqtt => 1883,
        }
    }
}

/// A broker, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User and password, if there are any.
    pub login: Option<(String, String)>,
    /// AMQP's vhost.
    pub vhost: String,
}

impl Uri {
    /// Reads a URI of this protocol. Parts are percent-encoded; `amqp://host` is the vhost `/`, and
    /// `amqp://host/` the one with an empty name.
    pub fn parse(protocol: Protocol, text: &str) -> Result<Uri, Error> {
        let wrong = |what: &str| Error::Options(format!("--uri {text}: {what}"));
        let scheme = format!("{}://", protocol.name());
        let Some(rest) = text.strip_prefix(&scheme) else {
            return Err(match text.split_once("://") {
                Some(("amqps" | "mqtts", _)) => wrong("TLS is not supported here"),
                _ => wrong(&format!("it has to begin with {scheme}")),
            });
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let decoded = |part: &str| match percent_decode_str(part).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(wrong("a part of it is no UTF-8")),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((decoded(user)?, decoded(password)?)), place)
            }
            None => (None, authority),
        };
        let (host, port) = split_port(place);
        let port = match port {
            None => protocol.port(),
            Some(port) => port.parse().map_err(|_| wrong(&format!("{port:?} is no port")))?,
        };
        let host = decoded(host)?;
        let host = if host.is_empty() { "localhost".to_owned() } else { host };
        let vhost = path.map_or(Ok("/".to_owned()), decoded)?;
        if protocol == Protocol::Mqtt && path.is_some_and(|path| !path.is_empty()) {
            return Err(wrong("there are no vhosts in MQTT; put it before the user: vhost%3Auser"));
        }
        Ok(Uri { host, port, login, vhost })
    }
}

/// The address, without the login.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn split_port(place: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match place.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amqp(text: &str) -> Uri {
        Uri::parse(Protocol::Amqp, text).unwrap()
    }

    #[test]
    fn parts_are_found_and_decoded() {
        let uri = amqp("amqp://ann%40x:p%3Ass@mq.example:5673/%2Fshop");
        assert_eq!((&*uri.host, uri.port, &*uri.vhost), ("mq.example", 5673, "/shop"));
        assert_eq!(uri.login, Some(("ann@x".to_owned(), "p:ss".to_owned())));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let uri = amqp("amqp://");
        assert_eq!((&*uri.host, uri.port, &*uri.vhost, uri.login), ("localhost", 5672, "/", None));
        assert_eq!(amqp("amqp://a/").vhost, "");
        assert_eq!(Uri::parse(Protocol::Mqtt, "mqtt://a/").unwrap().port, 1883);
    }

    #[test]
    fn an_address_of_ipv6_keeps_its_colons() {
        let uri = amqp("amqp://[::1]:1/v");
        assert_eq!((&*uri.host, uri.port, uri.to_string()), ("::1", 1, "[::1]:1".to_owned()));
        assert_eq!(amqp("amqp://[::1]").port, 5672);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("mqtt://a", "it has to begin with amqp://"),
            ("amqps://a", "TLS is not supported here"),
            ("amqp://a:b", "\"b\" is no port"),
            ("amqp://a:65536", "\"65536\" is no port"),
            ("amqp://%ff", "a part of it is no UTF-8"),
        ] {
            let error = Uri::parse(Protocol::Amqp, text).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
        assert!(Uri::parse(Protocol::Mqtt, "mqtt://a/v").is_err());
    }
}
