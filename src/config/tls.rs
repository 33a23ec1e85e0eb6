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

words!(TlsVersion { V12 = "1.2", V13 = "1.3" });
