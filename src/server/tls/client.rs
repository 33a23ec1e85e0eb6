//! What the certificate of a client says. That it is one of ours has been checked by then.

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{dn, moment};
use crate::config::UserNameFrom;

/// The certificate of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The user that it stands for; none if it lacks the name that is wanted.
    pub user: Option<String>,
    /// Whose it is.
    pub subject: String,
    /// Who vouches for that.
    pub issuer: String,
    /// From when until when it is good.
    pub validity: String,
}

impl ClientCertificate {
    /// Reads one; `None` if it is none.
    pub fn read(der: &[u8], user_from: UserNameFrom) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let [from, to] = [validity.not_before, validity.not_after]
            .map(|time| humantime::format_rfc3339_seconds(moment(time.timestamp())));
        Some(ClientCertificate {
            user: user(&certificate, user_from),
            subject: dn::to_text(certificate.subject()),
            issuer: dn::to_text(certificate.issuer()),
            validity: format!("{from} - {to}"),
        })
    }
}

fn user(certificate: &X509Certificate<'_>, from: UserNameFrom) -> Option<String> {
    let name = match from {
        UserNameFrom::CommonName => common_name(certificate)?.to_owned(),
        UserNameFrom::DistinguishedName => dn::to_text(certificate.subject()),
        UserNameFrom::SubjectAlternativeName => alternative_name(certificate)?.to_owned(),
    };
    (!name.is_empty()).then_some(name)
}

/// Of two common names, neither is the one.
fn common_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    let mut names = certificate.subject().iter_common_name();
    let (first, second) = (names.next()?, names.next());
    first.as_str().ok().filter(|_| second.is_none())
}

/// The first host name, or else the first mail address, or else the first URI.
fn alternative_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    let names = certificate.subject_alternative_name().ok().flatten()?;
    let names = &names.value.general_names;
    let first = |wanted: fn(&'a GeneralName<'_>) -> Option<&'a str>| names.iter().find_map(wanted);
    first(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None })
        .or_else(|| {
            first(|name| if let GeneralName::RFC822Name(name) = name { Some(*name) } else { None })
        })
        .or_else(|| {
            first(|name| if let GeneralName::URI(name) = name { Some(*name) } else { None })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    /// A certificate with these names in its subject, and these others.
    fn certificate(subject: &[(DnType, &str)], others: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in subject {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.subject_alt_names = others;
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2027, 1, 2);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        certificate.der().to_vec()
    }

    fn user_of(der: &[u8], from: UserNameFrom) -> Option<String> {
        ClientCertificate::read(der, from).unwrap().user
    }

    #[test]
    fn a_user_is_found_where_the_configuration_says() {
        let mail = SanType::Rfc822Name("jo@example.org".try_into().unwrap());
        let host = SanType::DnsName("jo.example.org".try_into().unwrap());
        let subject = [(DnType::OrganizationName, "A, B"), (DnType::CommonName, "jo")];
        let der = certificate(&subject, vec![mail.clone(), host]);
        assert_eq!(user_of(&der, UserNameFrom::CommonName).unwrap(), "jo");
        assert_eq!(user_of(&der, UserNameFrom::DistinguishedName).unwrap(), r"CN=jo,O=A\, B");
        let alternative = UserNameFrom::SubjectAlternativeName;
        assert_eq!(user_of(&der, alternative).unwrap(), "jo.example.org");
        assert_eq!(user_of(&certificate(&[], vec![mail]), alternative).unwrap(), "jo@example.org");
    }

    #[test]
    fn a_certificate_without_the_name_that_is_wanted_stands_for_nobody() {
        let der = certificate(&[], Vec::new());
        for from in [
            UserNameFrom::CommonName,
            UserNameFrom::DistinguishedName,
            UserNameFrom::SubjectAlternativeName,
        ] {
            assert_eq!(user_of(&der, from), None);
        }
        let empty = certificate(&[(DnType::CommonName, "")], Vec::new());
        assert_eq!(user_of(&empty, UserNameFrom::CommonName), None);
    }

    #[test]
    fn management_shows_whose_a_certificate_is_and_for_how_long() {
        let der = certificate(&[(DnType::CommonName, "jo")], Vec::new());
        let shown = ClientCertificate::read(&der, UserNameFrom::CommonName).unwrap();
        assert_eq!((&*shown.subject, &*shown.issuer), ("CN=jo", "CN=jo"));
        assert_eq!(shown.validity, "2026-01-02T00:00:00Z - 2027-01-02T00:00:00Z");
        assert_eq!(ClientCertificate::read(b"none", UserNameFrom::CommonName), None);
    }
}
