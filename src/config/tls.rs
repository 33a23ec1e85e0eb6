//! What TLS is to be like.

use super::setting::words;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V12,
    /// RFC 8446.
    V13,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    None,
    /// They may; a bad one is worse than none.
    Optional,
    /// They have to.
    Required,
}

/// What in a client's certificate names its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserNameFrom {
    /// The common name of the subject.
    CommonName,
    /// The whole subject.
    DistinguishedName,
    /// A host name, mail address or URI.
    SubjectAlternativeName,
}

words!(TlsVersion { V12 = "1.2", V13 = "1.3" });
words!(ClientCertificates { None = "none", Optional = "optional", Required = "required" });
words!(UserNameFrom {
    CommonName = "common-name",
    DistinguishedName = "distinguished-name",
    SubjectAlternativeName = "subject-alternative-name",
});
