//! TLS, by rustls: certificates out of files, and sockets whose bytes are encrypted.
//!
//! The files are read at the start and again when the operator says so. What was read is one
//! [`ServerConfig`] behind a pointer: a handshake begins with the one that is there, and a connection
//! keeps what it has begun with. Files that cannot be used change nothing.

mod client;
mod dn;
mod error;
mod files;
mod listener;
mod names;
mod session;
mod stream;

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::clock;
use crate::config::{ClientCertificates, Config, TlsVersion};
use files::Certificate;
use names::ByName;

pub use error::TlsError;
pub use files::read_certificates;
pub use listener::TlsListener;
pub use session::Session;
pub use stream::TlsStream;

/// The certificates of a broker.
#[derive(Debug)]
pub struct Tls(RwLock<Arc<Loaded>>);

/// What was in the files.
#[derive(Debug)]
struct Loaded {
    server: Arc<ServerConfig>,
    certificates: Vec<Certificate>,
}

impl Tls {
    /// Reads the files that the configuration names; `None` if it names no certificate.
    ///
    /// # Errors
    /// If a file cannot be read, holds something else, or they do not fit together.
    pub fn load(config: &Config) -> Result<Option<Tls>, TlsError> {
        if !config.tls_cert_path.as_os_str().is_empty() {
            let loaded = Loaded::read(config)?;
            return Ok(Some(Tls(RwLock::new(Arc::new(loaded)))));
        }
        if config.tls_client_certs != ClientCertificates::None {
            return Err(TlsError::NoCertificate("tls_client_certs"));
        }
        let needless =
            [("tls_key_path", &config.tls_key_path), ("tls_sni_dir", &config.tls_sni_dir)];
        match needless.iter().find(|(_, path)| !path.as_os_str().is_empty()) {
            Some((name, _)) => Err(TlsError::NoCertificate(name)),
            None => Ok(None),
        }
    }

    /// Reads the files once more, for the handshakes from now on.
    ///
    /// # Errors
    /// As [`Tls::load`]; then everything stays as it was.
    pub fn reload(&self, config: &Config) -> Result<(), TlsError> {
        let loaded = Arc::new(Loaded::read(config)?);
        *self.0.write().expect("nothing panics while it holds the pointer") = loaded;
        Ok(())
    }

    /// The certificates that are no longer good at a time, in seconds since the Unix epoch, and when
    /// they expire.
    pub fn expiring(&self, until_s: i64) -> Vec<(PathBuf, SystemTime)> {
        let loaded = self.loaded();
        let expiring = loaded.certificates.iter().filter(|it| it.not_after_s <= until_s);
        let at = |it: &Certificate| moment(it.not_after_s);
        expiring.map(|it| (it.path.clone(), at(it))).collect()
    }

    fn server(&self) -> Arc<ServerConfig> {
        self.loaded().server.clone()
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.0.read().expect("nothing panics while it holds the pointer").clone()
    }
}

impl Loaded {
    fn read(config: &Config) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = read_own(config, &provider)?;
        let clients = verifier(config, &provider)?;
        let versions = match config.tls_min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12][..],
            TlsVersion::V13 => &[&TLS13],
        };
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::Library)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(ByName::new(&certificates)));
        Ok(Loaded { server: Arc::new(with_tickets(server)?), certificates })
    }
}

/// What lies before the epoch, or after all that can be written, is no moment of a certificate's.
fn moment(seconds: i64) -> SystemTime {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The first one is for clients that ask for no name, or for another one.
fn read_own(config: &Config, provider: &CryptoProvider) -> Result<Vec<Certificate>, TlsError> {
    let (path, key_path) = (&config.tls_cert_path, &config.tls_key_path);
    let key_path = if key_path.as_os_str().is_empty() { path } else { key_path };
    let mut certificates = vec![Certificate::read(path, key_path, provider)?];
    if !config.tls_sni_dir.as_os_str().is_empty() {
        for (path, key_path) in files::pairs(&config.tls_sni_dir)? {
            certificates.push(Certificate::read(&path, &key_path, provider)?);
        }
    }
    let now_s = (clock::now_ms() / 1000) as i64;
    for expired in certificates.iter().filter(|certificate| certificate.not_after_s <= now_s) {
        tracing::warn!(path = %expired.path.display(), "the certificate has expired");
    }
    Ok(certificates)
}

/// Says which certificates of clients are good.
fn verifier(
    config: &Config,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if config.tls_client_certs == ClientCertificates::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let path = &config.tls_client_ca_path;
    if path.as_os_str().is_empty() {
        return Err(TlsError::NoClientCa);
    }
    let mut roots = RootCertStore::empty();
    for certificate in files::read_certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::file(path, error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match config.tls_client_certs {
        ClientCertificates::Required => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| TlsError::file(path, error))
}

/// Clients keep what a later handshake is shortened by; the broker keeps a key and no list of them.
fn with_tickets(mut server: ServerConfig) -> Result<ServerConfig, TlsError> {
    server.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Library)?;
    server.send_tls13_tickets = 1;
    Ok(server)
}
