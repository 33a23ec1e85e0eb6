//! Certificates and keys in PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::TlsError;

/// A certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    /// The file.
    pub path: PathBuf,
    /// What rustls needs of it.
    pub key: Arc<CertifiedKey>,
    /// The host names that it is for, in lower case; one may begin with `*.`.
    pub names: Vec<String>,
    /// When it expires, in seconds since the Unix epoch.
    pub not_after_s: i64,
}

impl Certificate {
    /// Reads a certificate, those that stand behind it, and its key.
    ///
    /// # Errors
    /// If they cannot be read, or the key is another one's.
    pub fn read(path: &Path, key_path: &Path, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let chain = read_certificates(path)?;
        let key = PrivateKeyDer::from_pem_slice(&read(key_path)?)
            .map_err(|error| TlsError::file(key_path, pem_reason(&error, "private key")))?;
        let (_, first) = X509Certificate::from_der(&chain[0])
            .map_err(|error| TlsError::file(path, format!("not a certificate: {error}")))?;
        let (names, not_after_s) = (host_names(&first), first.validity().not_after.timestamp());
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let reason = format!("not the key of the certificate in {}", path.display());
                TlsError::file(key_path, reason)
            }
            error => TlsError::file(key_path, error),
        })?;
        Ok(Certificate { path: path.to_owned(), key: Arc::new(key), names, not_after_s })
    }
}

/// The certificates of a file, of which there is one at least.
///
/// # Errors
/// If it cannot be read, or has none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsError::file(path, pem_reason(&PemError::NoItemsFound, "certificate")))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::file(path, pem_reason(&error, "certificate"))),
    }
}

/// The certificates in a directory, each with the file of its key.
///
/// # Errors
/// If the directory cannot be read, or the key of a `.crt` is not there.
pub fn pairs(directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>, TlsError> {
    let failed = |error| TlsError::file(directory, error);
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pem") => pairs.push((path.clone(), path)),
            Some("crt") => {
                let key_path = path.with_extension("key");
                pairs.push((path, key_path));
            }
            _ => {}
        }
    }
    // Of two for the same name, the same one is taken at each start.
    pairs.sort();
    Ok(pairs)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::file(path, error))
}

fn pem_reason(error: &PemError, what: &str) -> String {
    match error {
        PemError::NoItemsFound if what == "private key" => {
            "no private key in it that can be read; one with a password cannot".to_owned()
        }
        PemError::NoItemsFound => format!("no {what} in it"),
        error => format!("not a PEM file: {error}"),
    }
}

fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
