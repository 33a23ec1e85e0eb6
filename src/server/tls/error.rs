//! What can be wrong with the files for TLS.

use std::path::{Path, PathBuf};

/// TLS cannot be spoken as the configuration wants it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A setting wants a certificate, and there is none.
    #[error("{0} is set, but tls_cert_path is not")]
    NoCertificate(&'static str),
    /// Clients are to show certificates, and nobody vouches for any.
    #[error("tls_client_certs is set, but tls_client_ca_path is not")]
    NoClientCa,
    /// A file cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library cannot work here.
    #[error("TLS cannot be used: {0}")]
    Library(rustls::Error),
}

impl TlsError {
    /// A file cannot be used, for this reason.
    pub(in crate::server) fn file(path: &Path, reason: impl ToString) -> Self {
        TlsError::File { path: path.to_owned(), reason: reason.to_string() }
    }
}
