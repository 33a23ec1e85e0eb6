//! What two sides have agreed on in a handshake, as management shows it.

use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::client::ClientCertificate;
use crate::config::UserNameFrom;

/// What a handshake ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    version: ProtocolVersion,
    suite: CipherSuite,
    client: Option<ClientCertificate>,
}

impl Session {
    /// Of a handshake that is done; `None` before that.
    pub fn of(connection: &ServerConnection, user_from: UserNameFrom) -> Option<Self> {
        let version = connection.protocol_version()?;
        let suite = connection.negotiated_cipher_suite()?.suite();
        let chain = connection.peer_certificates().unwrap_or_default();
        let client = chain.first().and_then(|der| ClientCertificate::read(der, user_from));
        Some(Session { version, suite, client })
    }

    /// The certificate of the client, if it has shown one.
    pub fn client(&self) -> Option<&ClientCertificate> {
        self.client.as_ref()
    }

    /// The version, as RabbitMQ writes it.
    pub fn version(&self) -> &'static str {
        match self.version {
            ProtocolVersion::TLSv1_2 => "tlsv1.2",
            _ => "tlsv1.3",
        }
    }

    /// The key exchange, which TLS 1.3 does not tie to the cipher.
    pub fn key_exchange(&self) -> String {
        let (key_exchange, _) = self.suite_parts();
        key_exchange
    }

    /// The cipher.
    pub fn cipher(&self) -> String {
        let (_, cipher) = self.suite_parts();
        cipher
    }

    /// `TLS13_AES_256_GCM_SHA384` and `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384` are what there is.
    fn suite_parts(&self) -> (String, String) {
        let suite = format!("{:?}", self.suite).to_lowercase();
        let (key_exchange, rest) = match suite.split_once("_with_") {
            Some((before, rest)) => (before.trim_start_matches("tls_"), rest),
            None => ("any", suite.trim_start_matches("tls13_")),
        };
        let (cipher, _hash) = rest.rsplit_once('_').unwrap_or((rest, ""));
        (key_exchange.to_owned(), cipher.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_shown_in_the_parts_that_rabbitmq_shows() {
        let old = Session {
            version: ProtocolVersion::TLSv1_2,
            suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            client: None,
        };
        assert_eq!((old.version(), &*old.key_exchange()), ("tlsv1.2", "ecdhe_ecdsa"));
        assert_eq!(old.cipher(), "chacha20_poly1305");
        let new = Session {
            version: ProtocolVersion::TLSv1_3,
            suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
            client: None,
        };
        assert_eq!((new.version(), &*new.key_exchange()), ("tlsv1.3", "any"));
        assert_eq!(new.cipher(), "aes_256_gcm");
    }
}
