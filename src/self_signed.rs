//! `leveret tls self-signed`: certificates for trying TLS out.
//!
//! An authority that nobody knows vouches for a server and for a client. Its own key is thrown away: it
//! can vouch for nothing else, so whoever trusts it trusts these two alone. Nothing is overwritten.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::server::{clock, host};

/// Certificates cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfSignedError {
    /// A host name is none.
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    /// A file cannot be written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The library cannot make a certificate.
    #[error("no certificate can be made: {0}")]
    Library(#[from] rcgen::Error),
    /// What was done cannot be told.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Writes certificates for these host names, beside those of this machine, and for this user into a
/// directory, and says how to use them.
///
/// # Errors
/// If a name is none, or a file is there already or cannot be written.
pub fn write(
    directory: &Path,
    names: &[String],
    user: &str,
    out: &mut impl Write,
) -> Result<(), SelfSignedError> {
    let failed =
        |path: &Path, error| SelfSignedError::File { path: path.display().to_string(), error };
    let (certificates, names) = Made::make(names, user)?;
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, text, mode) in certificates.files() {
        let path = directory.join(name);
        write_file(&path, &text, mode).map_err(|error| failed(&path, error))?;
    }
    let path = |name| directory.join(name).display().to_string();
    let (server, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    writeln!(
        out,
        "Certificates for {} that are good for a year; clients trust {ca}.",
        names.join(", ")
    )?;
    writeln!(out, "The broker takes them like this:\n")?;
    writeln!(out, "  leveret --tls-cert-path {server} --tls-key-path {key} \\")?;
    writeln!(out, "    --tls-client-ca-path {ca} --tls-client-certs optional\n")?;
    let (certificate, key) = (path("client.pem"), path("client.key"));
    writeln!(out, "The user {user} logs in with {certificate} and {key} (EXTERNAL).")?;
    Ok(())
}

/// What is written.
struct Made {
    ca: String,
    server: (String, KeyPair),
    client: (String, KeyPair),
}

impl Made {
    /// Gives the host names of the server, too.
    fn make(names: &[String], user: &str) -> Result<(Self, Vec<String>), SelfSignedError> {
        let mut all: Vec<String> =
            ["localhost", "127.0.0.1", "::1", host::name()].map(str::to_owned).into();
        all.extend_from_slice(names);
        let mut seen = std::collections::HashSet::new();
        all.retain(|name| seen.insert(name.clone()));
        let mut ca = params("Leveret trial authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate()?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(ca, ca_key);
        let mut server = params(&all[0]);
        server.subject_alt_names =
            all.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut client = params(user);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificates =
            Made { ca: ca_pem, server: signed(server, &issuer)?, client: signed(client, &issuer)? };
        Ok((certificates, all))
    }

    fn files(self) -> [(&'static str, String, u32); 5] {
        [
            ("ca.pem", self.ca, 0o644),
            ("server.pem", self.server.0, 0o644),
            ("server.key", self.server.1.serialize_pem(), 0o600),
            ("client.pem", self.client.0, 0o644),
            ("client.key", self.client.1.serialize_pem(), 0o600),
        ]
    }
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(clock::now_ms());
    // Clocks of clients may be a little behind.
    params.not_before = now - HOUR;
    params.not_after = now + YEAR;
    params
}

fn signed(
    mut params: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, KeyPair), SelfSignedError> {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key))
}

fn alternative(name: &str) -> Result<SanType, SelfSignedError> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._*".contains(c);
    match name.try_into() {
        Ok(host) if !name.is_empty() && name.chars().all(is_name) => Ok(SanType::DnsName(host)),
        _ => Err(SelfSignedError::Name(name.to_owned())),
    }
}

fn write_file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::config::ClientCertificates;
    use crate::server::tls::{Tls, TlsError};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["broker.example.org".to_owned()], "jo", &mut Vec::new()).unwrap();
        folder
    }

    fn config(folder: &Path) -> Config {
        Config {
            tls_cert_path: folder.join("server.pem"),
            tls_key_path: folder.join("server.key"),
            tls_client_ca_path: folder.join("ca.pem"),
            tls_client_certs: ClientCertificates::Optional,
            ..Config::default()
        }
    }

    fn error(config: &Config) -> String {
        Tls::load(config).unwrap_err().to_string()
    }

    #[test]
    fn keys_are_for_their_owner_alone_and_nothing_is_overwritten() {
        let folder = made();
        for key in ["server.key", "client.key"] {
            let mode = std::fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = write(folder.path(), &[], "jo", &mut Vec::new());
        assert!(
            matches!(again, Err(SelfSignedError::File { path, .. }) if path.ends_with("ca.pem"))
        );
        for name in ["", "two words", "a/b", "é"] {
            let refused =
                write(&folder.path().join("x"), &[name.to_owned()], "jo", &mut Vec::new());
            assert!(matches!(refused, Err(SelfSignedError::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_broker_takes_them() {
        let folder = made();
        let tls = Tls::load(&config(folder.path())).unwrap().unwrap();
        let now_s = (clock::now_ms() / 1000) as i64;
        assert!(tls.expiring(now_s + 364 * 24 * 60 * 60).is_empty());
        assert_eq!(tls.expiring(now_s + 366 * 24 * 60 * 60)[0].0, folder.path().join("server.pem"));
        tls.reload(&config(folder.path())).unwrap();
    }

    #[test]
    fn key_and_certificate_may_be_in_one_file() {
        let folder = made();
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let both = folder.path().join("both.pem");
        std::fs::write(&both, read("server.key") + &read("server.pem")).unwrap();
        let config = Config { tls_cert_path: both, ..Config::default() };
        assert!(Tls::load(&config).unwrap().is_some());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = made();
        let good = config(folder.path());
        let file = |name: &str| folder.path().join(name);
        let key_of = |path: PathBuf| Config { tls_key_path: path, ..good.clone() };
        assert!(error(&key_of(file("none.key"))).contains("none.key: No such file"));
        let text = error(&key_of(file("client.key")));
        assert!(text.contains("client.key: not the key of the certificate in"), "{text}");
        assert!(error(&key_of(file("ca.pem"))).contains("ca.pem: no private key in it"));
        std::fs::write(file("empty.pem"), "").unwrap();
        let certificate = Config { tls_cert_path: file("empty.pem"), ..good.clone() };
        assert!(error(&certificate).contains("empty.pem: no certificate in it"));
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        std::fs::write(file("broken.pem"), broken).unwrap();
        let certificate = Config { tls_cert_path: file("broken.pem"), ..good.clone() };
        assert!(error(&certificate).contains("broken.pem: not a PEM file"));
        let ca = Config { tls_client_ca_path: file("empty.pem"), ..good.clone() };
        assert!(error(&ca).contains("empty.pem: no certificate in it"));
    }

    #[test]
    fn settings_that_need_others_are_not_passed_over() {
        let folder = made();
        let good = config(folder.path());
        let no_ca = Config { tls_client_ca_path: PathBuf::new(), ..good.clone() };
        assert!(matches!(Tls::load(&no_ca), Err(TlsError::NoClientCa)));
        let no_certificate = Config { tls_cert_path: PathBuf::new(), ..good };
        assert!(matches!(
            Tls::load(&no_certificate),
            Err(TlsError::NoCertificate("tls_client_certs"))
        ));
        assert!(Tls::load(&Config::default()).unwrap().is_none());
    }

    #[test]
    fn a_reload_that_fails_changes_nothing() {
        let folder = made();
        let mut config = config(folder.path());
        let tls = Tls::load(&config).unwrap().unwrap();
        std::fs::write(folder.path().join("server.pem"), "").unwrap();
        assert!(tls.reload(&config).is_err());
        assert_eq!(tls.expiring(i64::MAX).len(), 1);
        config.tls_cert_path = PathBuf::new();
        assert!(tls.reload(&config).is_err());
    }

    #[test]
    fn certificates_for_further_names_are_in_a_directory() {
        let folder = made();
        let (more, other) = (folder.path().join("more"), tempfile::tempdir().unwrap());
        std::fs::create_dir(&more).unwrap();
        write(other.path(), &["*.other.example".to_owned()], "jo", &mut Vec::new()).unwrap();
        std::fs::copy(other.path().join("server.pem"), more.join("other.crt")).unwrap();
        let config = Config { tls_sni_dir: more.clone(), ..config(folder.path()) };
        assert!(error(&config).contains("other.key: No such file"));
        std::fs::copy(other.path().join("server.key"), more.join("other.key")).unwrap();
        let tls = Tls::load(&config).unwrap().unwrap();
        assert_eq!(tls.expiring(i64::MAX).len(), 2);
    }
}
